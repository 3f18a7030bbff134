"""The web application: a queue of recordings, an HTTP interface, live streams.

`speechduet.app.jobs` and `speechduet.app.limits` need no web framework; the rest needs the extra
``app``.
"""
