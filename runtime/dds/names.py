"""The names of ROS 2 and what they become in DDS."""

from __future__ import annotations

import os
import re

_NAME = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")
_LONGEST = 247  # rmw's limit: 255, of which the prefix takes up to 8
_DOMAINS = 232  # the highest with a port below 65536


def topic_name(topic: str, namespace: str = "") -> str:
    """The DDS name of a ROS 2 topic: "outrider/verdict" in "/front" is "rt/front/outrider/verdict".

    A topic that begins with "/" stands outside the namespace. Raises ValueError for what rmw would refuse.
    """
    inner = namespace.removeprefix("/").removesuffix("/")
    name = topic if topic.startswith("/") else f"/{inner}/{topic}" if inner else f"/{topic}"
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        within = f" in the namespace {namespace!r}" if namespace else ""
        raise ValueError(
            "expected a ROS 2 name, words of letters, digits and _ that begin with none of the digits, joined by /"
            f" ({_LONGEST} characters at most), got {topic!r}{within}"
        )
    return f"rt{name}"


def domain_id(domain: int | None = None) -> int:
    """The DDS domain: `domain`, else ROS_DOMAIN_ID, else 0. Raises ValueError for any but 0 to 232."""
    if domain is not None:
        if type(domain) is not int or not 0 <= domain <= _DOMAINS:
            raise ValueError(f"expected a domain from 0 to {_DOMAINS}, got {domain!r}")
        return domain
    text = os.environ.get("ROS_DOMAIN_ID", "").strip() or "0"
    if not (text.isascii() and text.isdigit() and int(text) <= _DOMAINS):
        raise ValueError(f"expected ROS_DOMAIN_ID from 0 to {_DOMAINS}, got {text!r}; set it right or give the domain")
    return int(text)
