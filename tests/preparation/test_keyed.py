"""Keyed hashes are SipHash-2-4, whatever the length of a text and wherever it stands in a column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ccexport.preparation.keyed import keyed_hashes

KEY = bytes(range(16))
PUBLISHED = {  # by Aumasson and Bernstein: of the texts 00, 00 01, … so many bytes long
    0: "310e0edd47db6f72",
    1: "fd67dc93c539f874",
    2: "5a4fa9d909806c0d",
    3: "2d7efbd796666785",
    4: "b7877127e09427cf",
    5: "8da699cd64557618",
    6: "cee3fe586e46c9cb",
    7: "37d1018bf50002ab",
    8: "6224939a79f5f593",
    15: "e545be4961ca29a1",
}


def test_hashes_are_those_that_were_published_with_it() -> None:
    texts = pa.array([bytes(range(size)).decode() for size in range(16)])
    found = keyed_hashes(texts, KEY)
    for size, expected in PUBLISHED.items():
        assert int(found[size]).to_bytes(8, "little").hex() == expected, size


def test_a_hash_depends_on_the_text_and_the_key_alone() -> None:
    texts = [f"person{n}@example.com" for n in range(20_000)]
    whole = keyed_hashes(pa.array(texts), KEY)
    assert len(np.unique(whole)) == len(texts)
    some = keyed_hashes(pa.array(["x", *texts[9_000:9_010]]).slice(1), KEY)
    assert some.tolist() == whole[9_000:9_010].tolist()
    longer = pa.array([f"{text},First" for text in texts[:50]])
    sizes = np.array([len(text) for text in texts[:50]])
    assert keyed_hashes(longer, KEY, sizes).tolist() == whole[:50].tolist()
    assert not set(keyed_hashes(pa.array(texts), bytes(16)).tolist()) & set(whole.tolist())


def test_no_texts_have_no_hashes_and_a_short_key_is_refused() -> None:
    assert keyed_hashes(pa.array([], pa.string()), KEY).tolist() == []
    with pytest.raises(ValueError, match="16 bytes"):
        keyed_hashes(pa.array(["a"]), b"short")
