"""Callers by signed tokens of an identity provider (RFC 7519, OpenID Connect)."""
