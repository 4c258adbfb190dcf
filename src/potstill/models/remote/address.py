"""Addresses of an endpoint: URLs that contain a key, the environment's proxy, and the forms in which a secret may appear."""

from ipaddress import ip_address
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from potstill.errors import RecipeError


def join(url: str, key: str, path: str) -> URL:
    """The address of ``path`` below a base address, whose query it keeps; ``{api_key}`` is replaced by the key."""
    base = URL(url.replace("{api_key}", quote(key, safe="")), encoded="{api_key}" in url)
    return (base.with_query(None) / path).with_query(base.query) if path else base


def encodings(secret: str | None) -> set[str]:
    """The forms in which a secret may appear in a text: unchanged, in an address, in JSON."""
    if not secret:
        return set()
    in_query, in_path = URL.build(query={"k": secret}).raw_query_string[2:], URL.build(path=f"/{secret}").raw_path[1:]
    return {secret, quote(secret), quote(secret, safe=""), in_query, in_path, secret.replace("/", "\\/")}


def proxy_for(address: URL) -> URL | None:
    """The environment's proxy for an address. (aiohttp's ``trust_env`` would send passwords from ~/.netrc as well.)

    Raises `RecipeError` when the environment variable is not an address.
    """
    host = address.host or ""
    value = None if is_local(address) or proxy_bypass(host) else getproxies().get(address.scheme)
    if not value:
        return None
    try:
        proxy = URL(value if "://" in value else f"http://{value}")
        proxy.port  # noqa: B018 - raises ValueError for an invalid port
    except ValueError:
        proxy = URL()
    if not proxy.host or proxy.scheme not in ("http", "https"):
        raise RecipeError(
            f"The environment variable {address.scheme}_proxy should be the address of an HTTP proxy, such as "
            "http://127.0.0.1:3128, and is not. Fix it, or add the server's host to no_proxy."
        )
    return proxy


def is_local(address: URL) -> bool:
    """Whether an address belongs to this machine."""
    host = address.host or ""
    return host in ("localhost", "0.0.0.0", "::") or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
