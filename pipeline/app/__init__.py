"""The one composition root: settings in, the parts joined. The only room that imports connectors."""
