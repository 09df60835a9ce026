"""What a threshold promises, in words: on which frames the rate holds, and on which it does not."""

from __future__ import annotations

from .changes import RECALIBRATED, SET_BY_HAND


def promise_in_words(
    rate: float, frames: int, always: int, drives: int | None, confidence: float | None, set_by: str
) -> str:
    """One sentence for whoever has to rely on the rate.

    frames: that set the threshold. always: others that were left out and alarm whatever the threshold. drives: of how
    many the frames are, None where each counted alone. confidence: that of a whole drive, None where the rate is that
    of a frame. set_by: in the words of `Change.what`.
    """
    if set_by == SET_BY_HAND:
        return "nothing: the threshold was set by hand, and the rate is what its frames have with it"
    besides = f", beside frames like the {always:,} left out, which always alarm" if always else ""
    if set_by == RECALIBRATED:
        return (
            f"of new frames drawn like those of the logs at most {rate:g} alarm on average, as far as the frames that"
            " were believed clean are; nothing beyond the drives of the logs"
        )
    if drives is None:
        return (
            f"of new frames drawn like the {frames:,} held-out ones at most {rate:g} alarm on average{besides}; nothing"
            " beyond the drives that these are of"
        )
    if confidence is None:
        return (
            f"of the frames of a new drive drawn like the {drives:,} held-out ones at most {rate:g} alarm on average"
            f" over such drives{besides}; one drive may have more, and nothing is said of drives unlike these"
        )
    return (
        f"of the frames of one whole new drive drawn like the {drives:,} held-out ones at most {rate:g} alarm, with a"
        f" chance of at least {confidence:g}; nothing is said of drives unlike these"
    )
