"""The ASGI application around the site."""
