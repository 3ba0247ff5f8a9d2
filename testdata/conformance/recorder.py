"""Builds small graphs of TensorFlow ops and writes them down with what TensorFlow answers.

A Case is one file: a GraphDef with its inputs as Const nodes in/0, in/1, ..., the nodes under test, and one Const
expect/K for each tensor that must come out. README.md has the attributes. Variants of a case are independent of each
other; one that TensorFlow refuses (most often a dtype without a kernel) is left out and listed.
"""
import os
import zlib

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, graph_pb2
from tensorflow.core.protobuf import rewriter_config_pb2
from tensorflow.python.framework import op_def_registry

v1 = tf.compat.v1

DT = {
    "f32": tf.float32, "f64": tf.float64, "f16": tf.float16, "bf16": tf.bfloat16, "c64": tf.complex64, "c128": tf.complex128,
    "i8": tf.int8, "u8": tf.uint8, "i16": tf.int16, "u16": tf.uint16, "i32": tf.int32, "u32": tf.uint32, "i64": tf.int64,
    "u64": tf.uint64, "bool": tf.bool, "str": tf.string, "qi8": tf.qint8, "qu8": tf.quint8, "qi32": tf.qint32,
    "qi16": tf.qint16, "qu16": tf.quint16, "res": tf.resource, "var": tf.variant,
}
RAW = {"qi8": np.int8, "qu8": np.uint8, "qi32": np.int32, "qi16": np.int16, "qu16": np.uint16}
FLOATS = ["f32", "f64", "f16", "bf16"]
SIGNED = ["i8", "i16", "i32", "i64"]
INTS = SIGNED + ["u8", "u16", "u32", "u64"]
COMPLEX = ["c64", "c128"]
NUMBERS = FLOATS + INTS
ALL = NUMBERS + COMPLEX + ["bool", "str"]

# Relative and absolute tolerance by class and dtype: one rounding; vectorized approximations; sums and chains.
TOLERANCE = {
    "one": {"f32": 1e-6, "f64": 1e-12, "f16": 2e-3, "bf16": 2e-2, "c64": 1e-6, "c128": 1e-12},
    "fun": {"f32": 4e-6, "f64": 1e-10, "f16": 3e-3, "bf16": 2e-2, "c64": 4e-6, "c128": 1e-10},
    "sum": {"f32": 2e-5, "f64": 1e-10, "f16": 8e-3, "bf16": 6e-2, "c64": 2e-5, "c128": 1e-10},
}


def name_of(dtype):
    dtype = tf.as_dtype(dtype).base_dtype
    return next(k for k, v in DT.items() if v == dtype)


class Tensor:
    """An output of a node of the case: its name and dtype."""

    def __init__(self, name, dtype):
        self.name, self.dtype = name, dtype


class Graph:
    """One graph being built. Random values depend on the case's name alone."""

    def __init__(self, label):
        self.rng = np.random.default_rng(zlib.crc32(label.encode()))
        self.graph = graph_pb2.GraphDef()
        self.feeds, self.inputs, self.expect = {}, 0, []
        self.prefix = ""

    # Inputs.

    def const(self, value, dtype="f32", feed=None):
        """An input with the given value; feed names a tensor that the runner has to feed with it."""
        return self._const("in/%d" % self.inputs, value, dtype, feed)

    def _const(self, name, value, dtype, feed=None):
        node = self.graph.node.add(name=name, op="Const")
        node.attr["dtype"].type = DT[dtype].as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tensor_proto(value, dtype))
        if feed:
            node.attr["_feed"].s = feed.encode()
            self.feeds[feed] = name
        if name.startswith("in/"):
            self.inputs += 1
        return Tensor(name, dtype)

    def rand(self, shape, dtype="f32", lo=None, hi=None):
        """Random values of a dtype: floats in [-2, 2], integers in [-9, 9] or [0, 9], unless said otherwise."""
        return self.const(self.values(shape, dtype, lo, hi), dtype)

    def values(self, shape, dtype, lo=None, hi=None):
        r = self.rng
        if dtype == "bool":
            return r.integers(0, 2, shape).astype(bool)
        if dtype == "str":
            words = ["", "a", "bc", "tf", "def"]
            return np.array([words[i] for i in r.integers(0, 5, int(np.prod(shape)))], object).reshape(shape)
        if dtype[0] in "iuq":
            unsigned = "u" in dtype
            lo = (0 if unsigned else -9) if lo is None else (max(lo, 0) if unsigned else lo)
            hi = 9 if hi is None else max(hi, lo + 1)
            return r.integers(int(lo), int(hi) + 1, shape)
        lo, hi = -2.0 if lo is None else lo, 2.0 if hi is None else hi
        v = r.uniform(lo, hi, shape)
        return v + 1j * r.uniform(lo, hi, shape) if dtype[0] == "c" else v

    # Nodes.

    def op(self, name, *inputs, label=None, controls=(), **attrs):
        """Adds a node. Lists are list inputs; type attributes follow from the inputs. Returns its outputs."""
        d = op_def_registry.get(name)
        if d is None:
            raise LookupError("TensorFlow has no op %s" % name)
        n = self.graph.node.add(name=self.prefix + (label or "n%d" % len(self.graph.node)), op=name)
        known = {}
        if len(inputs) != len(d.input_arg):
            raise ValueError("%s takes %d inputs" % (name, len(d.input_arg)))
        for arg, v in zip(d.input_arg, inputs):
            many = v if isinstance(v, (list, tuple)) else [v]
            n.input.extend(t.name for t in many)
            if arg.number_attr:
                known[arg.number_attr] = len(many)
            if arg.type_list_attr:
                known[arg.type_list_attr] = [DT[t.dtype] for t in many]
            if arg.type_attr and many:
                known[arg.type_attr] = DT[many[0].dtype]
        defs = {a.name: a for a in d.attr}
        for k, v in attrs.items():
            kind = defs[k].type if k in defs else ""
            known[k] = DT[v] if kind == "type" and isinstance(v, str) else [DT.get(x, x) for x in v] if kind == "list(type)" else v
        for k, v in known.items():
            n.attr[k].CopyFrom(attr_value(defs[k].type if k in defs else None, v))
        n.input.extend("^" + (c[0] if isinstance(c, list) else c).name.split(":")[0] for c in controls)
        return self._outputs(n, d, known, defs)

    def _outputs(self, n, d, known, defs):
        def attr(k):
            if k in known:
                return known[k]
            v = defs[k].default_value
            return getattr(v, v.WhichOneof("value")) if v.WhichOneof("value") != "list" else list(v.list.type)

        types = []
        for arg in d.output_arg:
            if arg.type_list_attr:
                types += list(attr(arg.type_list_attr))
            else:
                types += [attr(arg.type_attr) if arg.type_attr else arg.type] * (attr(arg.number_attr) if arg.number_attr else 1)
        out = [Tensor(n.name if i == 0 else "%s:%d" % (n.name, i), name_of(t)) for i, t in enumerate(types)]
        return out[0] if len(out) == 1 else (out or [Tensor(n.name, "f32")])

    def want(self, tensor, tolerance=None):
        """Notes that tensors are to be recorded."""
        for t in tensor if isinstance(tensor, (list, tuple)) else [tensor]:
            if t.dtype not in ("res", "var"):
                self.expect.append((t, tolerance))


def tensor_proto(value, dtype):
    if dtype in RAW:
        v = np.asarray(value).astype(RAW[dtype])
        p = tf.make_tensor_proto(v)
        p.dtype = DT[dtype].as_datatype_enum
        if not p.tensor_content:  # one element lies in a field of its own type
            p.ClearField("int_val")
            p.tensor_content = v.tobytes()
        return p
    if dtype == "str":
        v = np.asarray(value, object)
        p = tf.make_tensor_proto([x if isinstance(x, bytes) else x.encode() for x in v.ravel()], tf.string, v.shape)
        return p
    with np.errstate(all="ignore"):
        return tf.make_tensor_proto(np.asarray(value).astype(DT[dtype].as_numpy_dtype), DT[dtype])


def attr_value(kind, v):
    a = attr_value_pb2.AttrValue()
    if isinstance(v, attr_value_pb2.AttrValue):
        return v
    if kind is None:
        kind = {bool: "bool", int: "int", float: "float", str: "string", bytes: "string", tf.DType: "type"}[type(v)]
    if kind.startswith("list("):
        for x in v:
            one = attr_value(kind[5:-1], x)
            field = one.WhichOneof("value")
            into = getattr(a.list, field)
            if field in ("shape", "tensor", "func"):
                into.add().CopyFrom(getattr(one, field))
            else:
                into.append(getattr(one, field))
        a.list.SetInParent()
        return a
    if kind == "string":
        a.s = v if isinstance(v, bytes) else v.encode()
    elif kind == "int":
        a.i = int(v)
    elif kind == "float":
        a.f = v
    elif kind == "bool":
        a.b = bool(v)
    elif kind == "type":
        a.type = DT[v].as_datatype_enum if isinstance(v, str) else tf.as_dtype(v).as_datatype_enum
    elif kind == "shape":
        a.shape.CopyFrom(tf.TensorShape(v).as_proto())
    elif kind == "func":
        a.func.name = v
    elif kind == "tensor":
        a.tensor.CopyFrom(v)
    return a


def session(graph):
    """A session in which the kernels themselves answer, on one thread."""
    c = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    c.graph_options.optimizer_options.opt_level = v1.OptimizerOptions.L0
    c.graph_options.optimizer_options.global_jit_level = v1.OptimizerOptions.OFF
    r = c.graph_options.rewrite_options
    r.disable_meta_optimizer = True
    r.constant_folding = rewriter_config_pb2.RewriterConfig.OFF
    return v1.Session(graph=graph, config=c)


def answer(g):
    """Runs what a Graph has to record; returns one array each."""
    d = graph_pb2.GraphDef()
    d.CopyFrom(g.graph)
    d.versions.producer = tf.version.GRAPH_DEF_VERSION
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(d, name="")
        values = {n.name: n.attr["value"].tensor for n in g.graph.node if n.name in g.feeds.values()}
        with session(graph) as s:
            feeds = {f: tf.make_ndarray(values[c]) for f, c in g.feeds.items()}
            return s.run([t.name if ":" in t.name else t.name + ":0" for t, _ in g.expect], feeds)


class Recorder:
    """Collects cases and writes them to a folder."""

    def __init__(self, out, only="", verbose=False):
        self.out, self.only, self.verbose = out, only, verbose
        self.refused, self.files, self.bytes = [], 0, 0

    def case(self, group, name, variants, tolerance="fun", onednn=False, **flags):
        """Records a file from variants: functions that build on a Graph and return what to record."""
        if self.only and self.only not in "%s/%s" % (group, name) or onednn != (os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1"):
            return
        whole = graph_pb2.GraphDef()
        inputs = answers = 0
        for i, variant in enumerate(variants):
            g = Graph("%s/%s/%d" % (group, name, i))
            g.prefix = "v%d/" % i
            if self.verbose:  # a fault of TensorFlow ends the process: the last line says where
                print("%s/%s/%d" % (group, name, i), flush=True)
            try:
                out = variant(g)
                if out is not None:
                    g.want(out)
                if not g.expect:
                    continue
                got = answer(g)
            except (tf.errors.OpError, ValueError, TypeError, LookupError, NotImplementedError) as e:
                self.refused.append("%s/%s/%d: %s" % (group, name, i, str(e).split("\n")[0][:150]))
                continue
            for n in g.graph.node:
                whole.node.add().CopyFrom(renumbered(n, inputs))
            whole.library.MergeFrom(g.graph.library)
            inputs += g.inputs
            for (t, tol), v in zip(g.expect, got):
                e = whole.node.add(name="expect/%d" % answers, op="Const")
                e.attr["dtype"].type = DT[t.dtype].as_datatype_enum
                e.attr["value"].tensor.CopyFrom(tensor_proto(v, t.dtype))
                e.attr["_of"].s = ("%s" % t.name if ":" in t.name else t.name + ":0").encode()
                tol = tol or tolerance
                if tol == "exact" or t.dtype not in TOLERANCE["one"]:
                    e.attr["_exact"].b = True
                else:
                    e.attr["_rtol"].f = e.attr["_atol"].f = TOLERANCE[tol][t.dtype]
                if onednn:
                    e.attr["_onednn"].b = True
                for k, v in flags.items():
                    e.attr["_" + k].b = v
                answers += 1
        if not answers:
            return
        whole.versions.producer = tf.version.GRAPH_DEF_VERSION
        path = os.path.join(self.out, group, name + ".pb")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = whole.SerializeToString(deterministic=True)
        with open(path, "wb") as f:
            f.write(data)
        self.files += 1
        self.bytes += len(data)


def renumbered(node, by):
    """A copy of node in whose names in/K stands for in/(K+by)."""
    def move(name):
        mark, base = ("^", name[1:]) if name.startswith("^") else ("", name)
        return mark + "in/%d" % (int(base[3:]) + by) if base.startswith("in/") else name

    n = type(node)()
    n.CopyFrom(node)
    n.name = move(n.name)
    for i, x in enumerate(n.input):
        n.input[i] = move(x)
    return n
