"""Strings, regular expressions, hashes, numbers as text, Unicode."""
from recorder import COMPLEX, FLOATS, INTS, NUMBERS

TEXT = ["Grüße aus Köln", "", "  two  words ", "日本語 text", ",a,,b,", "MiXeD 12", "-0.5", "t\tt\r\n", b"\xff\xe3\x81x"]


def build(R):
    group = "string"
    one = lambda op, **kw: R.case(group, op, [lambda g: g.op(op, g.const(TEXT, "str"), **kw)])
    R.case(group, "StringJoin", [lambda g: g.op("StringJoin", [g.const(TEXT, "str"), g.const("+", "str"), g.const(TEXT, "str")], separator="|"),
                                 lambda g: g.op("StringJoin", [g.const("a", "str"), g.const("b", "str")])])
    R.case(group, "StringLength", [lambda g, u=u: g.op("StringLength", g.const(TEXT, "str"), unit=u) for u in ("BYTE", "UTF8_CHAR")])
    for op in ("StringLower", "StringUpper"):
        R.case(group, op, [lambda g, op=op, e=e: g.op(op, g.const(TEXT + ["İΣ ß ﬁ"], "str"), encoding=e) for e in ("", "utf-8")])
    one("StringStrip")
    R.case(group, "Substr", [lambda g, u=u, i=i: g.op("Substr", g.const([["hello"], ["日本語のx"]], "str"), g.const([1, -3], i), g.const([2, 9], i), unit=u) for u in ("BYTE", "UTF8_CHAR") for i in ("i32", "i64")])
    R.case(group, "StringSplit", [lambda g, d=d, s=s: g.op("StringSplit", g.const(TEXT, "str"), g.const(d, "str"), skip_empty=s) for d in (" ", ",b", "") for s in (False, True)])
    R.case(group, "StringSplitV2", [lambda g, d=d, m=m: g.op("StringSplitV2", g.const(TEXT, "str"), g.const(d, "str"), maxsplit=m) for d in ("", ",", ",,") for m in (-1, 0, 1)])
    R.case(group, "StringNGrams", [lambda g, w=w, p=p, s=s, i=i: g.op("StringNGrams", g.const(["a", "b", "c", "d"], "str"), g.const([0, 3, 3, 4], i), separator=" ", ngram_widths=w, left_pad="<", right_pad=">", pad_width=p, preserve_short_sequences=s)
                                   for w in ([2], [1, 3], [5]) for p in (-1, 0, 1) for s in (False, True) for i in ("i64",)])
    R.case(group, "ReduceJoin", [lambda g, a=a, k=k: g.op("ReduceJoin", g.const([[["a", "b"], ["c", "d"]], [["e", "f"], ["g", "h"]]], "str"), g.const(a, "i32"), keep_dims=k, separator=".")
                                 for a in ([0], [0, 2], [2, 0], [-1, 1, 0], []) for k in (False, True)])
    R.case(group, "UnsortedSegmentJoin", [lambda g: g.op("UnsortedSegmentJoin", g.const([["a", "b"], ["c", "d"], ["e", "f"]], "str"), g.const([2, 0, 2], "i64"), g.const(4, "i32"), separator="+")])
    patterns = [("[0-9]+", "#"), (r"(\w)(\w)", r"\2\1"), (r"\s*", "_"), ("^|$", "|"), (r"(?i)m(.)x", r"<\0>"), ("a|(b)", r"[\1]")]
    R.case(group, "RegexReplace", [lambda g, p=p, w=w, a=a: g.op("RegexReplace", g.const(TEXT[:-1], "str"), g.const(p, "str"), g.const(w, "str"), replace_global=a) for p, w in patterns for a in (False, True)])
    R.case(group, "StaticRegexReplace", [lambda g, p=p, w=w: g.op("StaticRegexReplace", g.const(TEXT[:-1], "str"), pattern=p, rewrite=w) for p, w in patterns])
    R.case(group, "RegexFullMatch", [lambda g, p=p: g.op("RegexFullMatch", g.const(TEXT[:-1], "str"), g.const(p, "str")) for p in (".*", "[a-zA-Z 0-9]*", "a|.*b,")])
    R.case(group, "StaticRegexFullMatch", [lambda g, p=p: g.op("StaticRegexFullMatch", g.const(TEXT[:-1], "str"), pattern=p) for p in (".*", "[a-zA-Z 0-9]*")])
    R.case(group, "AsString", [lambda g, d=d: g.op("AsString", g.rand([5], d)) for d in NUMBERS + COMPLEX + ["bool", "str"]]
           + [lambda g, kw=kw: g.op("AsString", g.const([3.14159, -0.5, 1e20, 0.0, 123456.789, float("nan"), float("-inf")]), **kw)
              for kw in (dict(precision=2), dict(scientific=True), dict(shortest=True), dict(width=9, fill="0"), dict(width=12, precision=1, fill="-"), dict(shortest=True, fill="#"), dict(fill="+"))]
           + [lambda g, f=f: g.op("AsString", g.rand([3], "i32"), width=5, fill=f) for f in " +-0"])
    R.case(group, "StringToNumber", [lambda g, d=d: g.op("StringToNumber", g.const(["12", " 7\n", "0", "+5"] + ([] if d[0] == "u" else ["-3"]) + ([".5", "1e3", "inf", "-Infinity", "NaN", "0x1f", "1e-400"] if d[0] == "f" else []), "str"), out_type=d)
                                     for d in ("f32", "f64", "i32", "i64", "u32", "u64")], "one")
    R.case(group, "StringFormat", [lambda g, d=d, s=s: g.op("StringFormat", [g.rand([2, 3, 2], d), g.rand([], d)], template="a=%s b=%s", summarize=s) for d in FLOATS + ["i32", "u8", "str"] for s in (1, 3, -1)])
    R.case(group, "DecodeRaw", [lambda g, d=d, e=e: g.op("DecodeRaw", g.const([bytes(range(60, 76)), bytes(range(76, 92))], "str"), out_type=d, little_endian=e)
                                for d in FLOATS + ["i8", "u8", "i16", "u16", "i32", "i64", "bool", "c64", "c128"] for e in (True, False)], "exact")
    R.case(group, "EncodeBase64", [lambda g, p=p: g.op("EncodeBase64", g.const(TEXT, "str"), pad=p) for p in (False, True)])
    R.case(group, "DecodeBase64", [lambda g: g.op("DecodeBase64", g.const(["", "YQ", "YQ==", "-_-_", "YR"], "str"))])
    R.case(group, "SerializeTensor", [lambda g, d=d: g.op("ParseTensor", g.op("SerializeTensor", g.rand([2, 2], d)), out_type=d) for d in NUMBERS + ["bool", "str", "c64", "qi8"]])
    text = ["", "a", "hello", "x" * 17, "y" * 33, "z" * 70, "The quick brown fox jumps over the lazy dog. " * 4]
    for op, kw in (("StringToHashBucket", {}), ("StringToHashBucketFast", {}), ("StringToHashBucketStrong", dict(key=[17, -5]))):
        R.case(group, op, [lambda g, op=op, kw=kw, n=n: g.op(op, g.const(text + TEXT, "str"), num_buckets=n, **kw) for n in (1, 1000, 2 ** 62)])
    codes = [("UTF-8", TEXT), ("UTF-16-BE", [b"\0h\xd8\x3d\xde\x00", b"\xd8\x00\0a\0"]), ("UTF-16", [b"\xff\xfea\0"]), ("UTF-32-BE", [b"\0\0\0a\0\0\xd8\0"]), ("US-ASCII", [b"a\x80b"]),
             ("ISO-8859-1", [b"\xe9a"]), ("windows-1252", [b"\x80\xe9"]), ("SHIFT-JIS", [b"\x93\xfax"]), ("EUC-JP", [b"\xc6\xfcx"]), ("GBK", [b"\xc8\xd5x"]), ("Big5", [b"\xa4\xe9x"]), ("KOI8-R", [b"\xc1"])]
    for op in ("UnicodeDecode", "UnicodeDecodeWithOffsets"):
        R.case(group, op, [lambda g, op=op, e=e, t=t, m=m: g.op(op, g.const(t, "str"), input_encoding=e, errors=m, replace_control_characters=m == "ignore", Tsplits="i32" if m == "ignore" and op == "UnicodeDecode" else "i64")
                           for e, t in codes for m in ("replace", "ignore")])
    R.case(group, "UnicodeEncode", [lambda g, o=o, m=m: g.op("UnicodeEncode", g.const([99, 233, 0xd800, 26085, 0x110000, 0x1f600], "i32"), g.const([0, 2, 2, 6], "i64"), output_encoding=o, errors=m)
                                    for o in ("UTF-8", "UTF-16-BE", "UTF-32-BE") for m in ("replace", "ignore")])
    R.case(group, "UnicodeTranscode", [lambda g, e=e, t=t, o=o: g.op("UnicodeTranscode", g.const(t, "str"), input_encoding=e, output_encoding=o) for e, t in codes for o in ("UTF-8", "UTF-16-BE")])
    R.case(group, "UnicodeScript", [lambda g: g.op("UnicodeScript", g.const([65, 945, 1488, 26085, 0x300, 32, -1, 0x110000, 0x378, 0xe000, 0x0e01], "i32"))])
