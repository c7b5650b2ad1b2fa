"""Knowledge bases as tools of the Model Context Protocol, for other programs' assistants: on stdio and under the gateway.

The SDK speaks protocol 2026-07-28 and negotiates with older clients. Importing this package imports none of its parts.
"""
