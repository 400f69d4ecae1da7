"""The console: the program's pages in a browser, for people who read no terminal (ADR 24).

`console.console` makes the ASGI application, `serve` runs it. Pages are in `pages`, one module each, with their templates in `templates`.
"""
