"""The pages: a router a module, joined in `console`. Each calls typed functions of `pipeline.app` and lays out what they return."""
