"""The texts behind fields that hold words: those of the rule by small number, those of policies by digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError


def spelt_out(codes: NDArray[Any], own: Sequence[str], said: Mapping[int, str]) -> NDArray[Any]:
    """Return the text of each code: a small number stands for one of the rule's ``own``, others for what was ``said``.

    Raises
    ------
    InputError
        For a text that is not known.
    """
    distinct, of_code = np.unique(np.asarray(codes, np.int64), return_inverse=True)
    texts = np.empty(len(distinct), object)
    for place, code in enumerate(distinct.tolist()):
        text = own[code] if 0 <= code < len(own) else said.get(code)
        if text is None:
            raise InputError(f"there is no text with the digest {code} in the record of this run")
        texts[place] = text
    found: NDArray[Any] = texts[of_code]
    return found
