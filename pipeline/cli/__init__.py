"""The command line `esep`: thin commands over `pipeline.app`, one module a group."""
