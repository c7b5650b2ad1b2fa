"""Which addresses of the network a name stands for, and whether they are on the public internet: what a tool that goes where a
stranger's text leads has to know before it connects."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

__all__ = ["addresses_of", "is_public"]


async def addresses_of(host: str, port: int) -> list[str]:
    """Every address of a name, each once, in the resolver's order. Connect to one of these and not to the name: a second answer of the
    name server may be another one (DNS rebinding).

    Raises:
        OSError, UnicodeError: the name is not known, or is none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def is_public(address: str) -> bool:
    """Also for the addresses that hide an IPv4 one: mapped, 6to4, Teredo, NAT64."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inside = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inside is not None:
            return inside.is_global
    return ip.is_global and not ip.is_multicast
