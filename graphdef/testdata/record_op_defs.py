"""Record TensorFlow's op registry as op_defs.txt, one line an op, for the ops named there or on the command line.

    python record_op_defs.py [--add Op ...]

A line reads: Name (in type, …) -> (out type, …) {attr:kind=default, …} [flags]; lists are N*T and Tin..., references &T.
"""
import json
import pathlib
import sys

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import op_def_registry

FILE = pathlib.Path(__file__).with_name("op_defs.txt")
FIELDS = {"string": "s", "int": "i", "float": "f", "bool": "b", "type": "type", "shape": "shape"}


def dtype(enum):
    return types_pb2.DataType.Name(enum)[3:].lower()


def argument(a):
    kind = a.type_attr or a.type_list_attr or dtype(a.type)
    kind = ("&" if a.is_ref else "") + kind + ("..." if a.type_list_attr else "")
    return f"{a.name} {a.number_attr + '*' if a.number_attr else ''}{kind}"


def literal(kind, value):
    if kind == "string":
        return json.dumps(value.decode("latin1"))
    if kind == "float":
        return str(np.float32(value).view(np.uint32).item())  # its bits: no rounding to argue about
    if kind == "bool":
        return "true" if value else "false"
    if kind == "type":
        return dtype(value)
    if kind == "shape":
        dims = ["?" if d.size < 0 else str(d.size) for d in value.dim]
        return "?" if value.unknown_rank else f"[{', '.join(dims)}]"
    return str(value)


def attribute(a):
    text = f"{a.name}:{a.type}"
    if not a.HasField("default_value"):
        return text
    v = a.default_value
    if a.type.startswith("list("):
        kind = a.type[5:-1]
        return f"{text}=[{', '.join(literal(kind, x) for x in getattr(v.list, FIELDS[kind]))}]"
    return f"{text}={literal(a.type, getattr(v, FIELDS[a.type]))}"


def line(op):
    flags = [name for name in ("stateful", "commutative") if getattr(op, "is_" + name)]
    return (f"{op.name} ({', '.join(map(argument, op.input_arg))}) -> ({', '.join(map(argument, op.output_arg))}) "
            f"{{{', '.join(sorted(map(attribute, op.attr)))}}} [{' '.join(flags)}]")


def main():
    names = {row.split(" ", 1)[0] for row in FILE.read_text().splitlines()} if FILE.exists() else set()
    if sys.argv[1:2] == ["--add"]:
        names |= set(sys.argv[2:])
    FILE.write_text("".join(line(op_def_registry.get(name)) + "\n" for name in sorted(names)))


main()
