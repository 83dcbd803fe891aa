"""llama-server's own tokens of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.answer_stream import Utf8Stream
from edgetui.worker.protocol import TokenPiece

if TYPE_CHECKING:
    from edgetui.engines.server.link import Link


async def token_ids(link: Link, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
    """The ids of a text; raises `EdgetuiError`."""
    return [number for number, _ in await _tokens(link, text, add_special, parse_special)]


async def pieces(link: Link, text: str) -> tuple[TokenPiece, ...]:
    """The tokens of a text without what the model wants before it, special ones written out taken as such."""
    found = await _tokens(link, text, add_special=False, parse_special=True)
    return tuple(TokenPiece(token=number, text=piece) for number, piece in found)


async def _tokens(link: Link, text: str, add_special: bool, parse_special: bool) -> list[tuple[int, str]]:
    asked = {"content": text, "add_special": add_special, "parse_special": parse_special, "with_pieces": True}
    answer = await link.post("tokenize", asked, native=True)
    try:
        return [(int(each["id"]), _text_of(each["piece"])) for each in answer["tokens"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _odd(link) from error


def _text_of(piece: Any) -> str:
    """A piece that is no whole character comes as a list of its bytes."""
    if isinstance(piece, str):
        return piece
    stream = Utf8Stream()
    return stream.feed(bytes(piece)) + stream.finish()


def _odd(link: Link) -> EdgetuiError:
    return link.sentences.failure("network", "does not answer as llama-server does: is it another program's address?")
