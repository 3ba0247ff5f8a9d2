"""Records testdata/*.npy and *.npz with NumPy: python record.py"""

import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {
    "f4": np.array([[1.5, -0.0, np.inf], [1e-40, 3, -2]], np.float32),
    "f8_big": np.array([0.1, -7e300], ">f8"),
    "f2": np.array([1, 65504, 6e-8], np.float16),
    "i8_fortran": np.asfortranarray(np.arange(24, dtype=np.int64).reshape(2, 3, 4)),
    "i4_big_fortran": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    "u2_scalar": np.array(65535, np.uint16),
    "u8": np.array([2**64 - 1], np.uint64),
    "i1_empty": np.zeros((3, 0, 2), np.int8),
    "bool": np.array([True, False, True]),
    "c8_big": np.array([1 + 2j], ">c8"),
    "text": np.array([["a", "größe"], ["", "\U0001f600x"]]),
    "bytes": np.array([b"ab", b"\xff\x00c", b""]),
}
for name, v in CASES.items():
    np.save(os.path.join(HERE, name + ".npy"), v)
np.savez_compressed(os.path.join(HERE, "three.npz"), source=CASES["f4"], **{"a/b": CASES["bool"], "t:1": CASES["text"]})
