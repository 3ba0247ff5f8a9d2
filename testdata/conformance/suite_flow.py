"""Control flow in TF1's form and as functional ops, function calls, random ops, whatever needs Python's graph builders."""
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from recorder import DT, Graph, Tensor, name_of

v1 = tf.compat.v1


def python(build):
    """A variant whose nodes TensorFlow's Python writes: build gets constants as tensors and returns tensors."""
    def variant(g):
        graph = tf.Graph()
        with graph.as_default():
            taken = [tf.constant(v, d, name="in/%d" % i) for i, (v, d) in enumerate(build.inputs)]
            out = build(*taken)
            out = out if isinstance(out, (list, tuple)) else [out]
            names = [(tf.identity(o, name=g.prefix + "result%d" % i)) for i, o in enumerate(out)]
        g.graph.CopyFrom(graph.as_graph_def())
        g.inputs = len(build.inputs)
        return [Tensor(n.op.name, name_of(n.dtype)) for n in names]
    return variant


def inputs(*pairs):
    def mark(f):
        f.inputs = pairs
        return f
    return mark


def build(R):
    for kind, switch in (("v1", v1.disable_control_flow_v2), ("v2", v1.enable_control_flow_v2)):
        switch()
        group = "flow"

        @inputs((3, tf.int32), ([1.0, 2.0], tf.float32))
        def loop(n, x):
            return v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 2.0 - x), [tf.constant(0), x], parallel_iterations=1)

        @inputs((2, tf.int32), (1, tf.int64))
        def nested(n, x):
            inner = lambda y: v1.while_loop(lambda j, z: j < 3, lambda j, z: (j + 1, z + y), [tf.constant(0), y])[1]
            return v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, inner(y)), [tf.constant(0), x])

        @inputs((0, tf.int32), ([1.0], tf.float32))
        def never(n, x):
            return v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 2), [tf.constant(0), x])

        @inputs((4, tf.int32), ([[1.0]], tf.float32))
        def growing(n, x):
            return v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.concat([y, y[-1:] * 2], 0)), [tf.constant(0), x],
                                 shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 1])])

        @inputs((True, tf.bool), ([3.0, 4.0], tf.float32))
        def cond(p, x):
            return v1.cond(p, lambda: x * 2, lambda: x - 1), v1.cond(tf.logical_not(p), lambda: tf.reduce_sum(x), lambda: tf.constant(7.0))

        @inputs((5, tf.int32), ([1.0, -2.0], tf.float32))
        def mixed(n, x):
            return v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, v1.cond(tf.equal(i % 2, 0), lambda: y + x, lambda: y * 2)), [tf.constant(0), x])

        @inputs(([1.0, 2.0, 3.0], tf.float32))
        def mapped(x):
            return tf.map_fn(lambda e: e * e, x), tf.scan(lambda a, e: a + e, x), tf.foldl(lambda a, e: a * e, x)

        @inputs((1, tf.int32), (2.5, tf.float32), (9, tf.int32))
        def cases(i, x, far):
            branches = [lambda: x + 1, lambda: x * 2, lambda: -x]
            return tf.switch_case(i, branches), tf.switch_case(far, branches)
        for f in (loop, nested, never, growing, cond, mixed, mapped, cases):
            R.case(group, "%s_%s" % (f.__name__, kind), [python(f)])

    @inputs(([1.0, 2.0], tf.float32), (3.0, tf.float32))
    def called(x, y):
        @tf.function
        def double(a):
            return a * 2.0

        @tf.function
        def outer(a, b):
            return double(a) + b, double(b)
        return outer(x, y)
    R.case("flow", "call", [python(called)])
    for kind in ("PartitionedCall", "StatefulPartitionedCall"):
        R.case("flow", kind, [lambda g, kind=kind: direct_call(g, kind)])
    for kind in ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase", "For", "MapDefun"):
        R.case("flow", kind, [lambda g, kind=kind: functional(g, kind)])
    for op in ("Switch", "RefSwitch"):
        R.case("flow", op, [lambda g, op=op, p=p: switched(g, op, p) for p in (True, False)])
    v1.enable_control_flow_v2()

    group = "random"
    for d in ("f32", "f64", "f16", "bf16"):
        for op in ("StatelessRandomUniform", "StatelessRandomNormal", "StatelessTruncatedNormal"):
            R.case(group, "%s_%s" % (op, d), [lambda g, op=op, d=d: g.op(op, g.const([3, 5], "i32"), g.const([7, 11], "i64"), dtype=d)])
            R.case(group, "%sV2_%s" % (op, d), [lambda g, op=op, d=d: g.op(op + "V2", g.const([3, 5], "i32"), g.const([7], "u64"), g.const([1, 2], "u64"), g.const(1, "i32"), dtype=d)])
    for d in ("i32", "i64"):
        R.case(group, "StatelessRandomUniformInt_" + d, [lambda g, d=d: g.op("StatelessRandomUniformInt", g.const([9], "i32"), g.const([7, 11], "i64"), g.const(-5, d), g.const(50, d))])
        R.case(group, "StatelessRandomUniformIntV2_" + d, [lambda g, d=d: g.op("StatelessRandomUniformIntV2", g.const([9], "i32"), g.const([7], "u64"), g.const([1, 2], "u64"), g.const(1, "i32"), g.const(-5, d), g.const(50, d))])
    for d in ("i32", "i64", "u32", "u64"):
        R.case(group, "StatelessRandomUniformFullInt_" + d, [lambda g, d=d: g.op("StatelessRandomUniformFullInt", g.const([9], "i32"), g.const([7, 11], "i64"), dtype=d)])
        R.case(group, "StatelessRandomUniformFullIntV2_" + d, [lambda g, d=d: g.op("StatelessRandomUniformFullIntV2", g.const([9], "i32"), g.const([7], "u64"), g.const([1, 2], "u64"), g.const(1, "i32"), dtype=d)])
    R.case(group, "StatelessRandomGetKeyCounter", [lambda g: g.op("StatelessRandomGetKeyCounter", g.const([7, 11], "i64"))])
    R.case(group, "StatelessRandomGetAlg", [lambda g: g.op("StatelessRandomGetAlg")])
    R.case(group, "StatelessRandomGetKeyCounterAlg", [lambda g: g.op("StatelessRandomGetKeyCounterAlg", g.const([7, 11], "i64"))])
    for op in ("RandomUniform", "RandomStandardNormal", "TruncatedNormal"):
        R.case(group, op, [lambda g, op=op, d=d: g.op("Shape", g.op(op, g.const([3, 5], "i32"), dtype=d)) for d in ("f32", "f64", "f16", "bf16")])
    for d in ("i32", "i64"):
        R.case(group, "RandomUniformInt_" + d, [lambda g, d=d: g.op("Shape", g.op("RandomUniformInt", g.const([3, 5], "i32"), g.const(0, d), g.const(9, d)))])
    R.case(group, "RandomShuffle", [lambda g: g.op("Sum", g.op("RandomShuffle", g.rand([5])), g.const([0], "i32"))], "sum")
    R.case(group, "Multinomial", [lambda g: g.op("Shape", g.op("Multinomial", g.rand([2, 4]), g.const(3, "i32")))])
    R.case(group, "StatelessMultinomial", [lambda g: g.op("StatelessMultinomial", g.rand([2, 4]), g.const(6, "i32"), g.const([7, 11], "i64"))])

    group = "xla"
    for d in ("f32", "i32", "bf16"):
        R.case(group, "XlaDynamicSlice_" + d, [lambda g, d=d, s=s: g.op("XlaDynamicSlice", g.rand([4, 3], d), g.const(s, "i32"), g.const([2, 2], "i32")) for s in ([1, 0],)])
        R.case(group, "XlaDynamicUpdateSlice_" + d, [lambda g, d=d, s=s: g.op("XlaDynamicUpdateSlice", g.rand([4, 3], d), g.rand([2, 2], d), g.const(s, "i32")) for s in ([1, 0],)])


def function(g, name, args, rets, body):
    """Adds a function to the library: body gets its own Graph and the arguments, and returns its results."""
    name = g.prefix.strip("/") + name
    f = g.graph.library.function.add()
    f.signature.name = name
    inner = Graph("function")
    taken = []
    for i, d in enumerate(args):
        f.signature.input_arg.add(name="a%d" % i, type=DT[d].as_datatype_enum)
        taken.append(Tensor("a%d" % i, d))
    out = body(inner, *taken)
    out = out if isinstance(out, list) else [out]
    for n in inner.graph.node:
        m = f.node_def.add()
        m.CopyFrom(n)
        m.name = m.name.replace("/", "_")
        for i, x in enumerate(m.input):
            src = next((k for k in inner.graph.node if k.name == x), None)
            if src is not None:
                m.input[i] = "%s:%s:0" % (x.replace("/", "_"), output_name(src.op))
    for i, (d, t) in enumerate(zip(rets, out)):
        f.signature.output_arg.add(name="r%d" % i, type=DT[d].as_datatype_enum)
        src = next((k for k in inner.graph.node if k.name == t.name), None)
        f.ret["r%d" % i] = t.name if src is None else "%s:%s:0" % (t.name.replace("/", "_"), output_name(src.op))
    return name


def output_name(op):
    return op_def_registry.get(op).output_arg[0].name


def direct_call(g, kind):
    f = function(g, "double", ["f32", "f32"], ["f32", "f32"], lambda h, a, b: [h.op("Add", a, a), h.op("Mul", a, b)])
    return g.op(kind, [g.rand([3]), g.rand([])], f=f, Tout=["f32", "f32"])


def functional(g, kind):
    base = kind.replace("Stateless", "")
    if base == "While":
        c = function(g, "cond", ["i32", "f32"], ["bool"], lambda h, i, x: h.op("Less", i, h.const(3, "i32")))
        b = function(g, "body", ["i32", "f32"], ["i32", "f32"], lambda h, i, x: [h.op("AddV2", i, h.const(1, "i32")), h.op("Mul", x, x)])
        return g.op(kind, [g.const(0, "i32"), g.rand([2])], cond=c, body=b)
    if base == "For":
        b = function(g, "body", ["i32", "f32"], ["f32"], lambda h, i, x: h.op("Mul", x, x))
        return g.op("For", g.const(0, "i32"), g.const(5, "i32"), g.const(2, "i32"), [g.rand([2])], body=b)
    if base == "MapDefun":
        f = function(g, "f", ["f32"], ["f32"], lambda h, x: h.op("Mul", x, x))
        return g.op("MapDefun", [g.rand([3, 2])], [], f=f, output_types=["f32"], output_shapes=[[2]])
    f = [function(g, "f%d" % i, ["f32"], ["f32"], body) for i, body in
         enumerate([lambda h, x: h.op("Mul", x, x), lambda h, x: h.op("Neg", x), lambda h, x: h.op("Add", x, x)])]
    x = [g.rand([2])]
    if base == "If":
        return [g.op(kind, g.const(p, d), x, then_branch=f[0], else_branch=f[1], Tout=["f32"]) for p, d in ((True, "bool"), (False, "bool"), (2, "i32"), ("", "str"))]
    return [g.op(kind, g.const(i, "i32"), x, branches=f, Tout=["f32"]) for i in (0, 2, 7, -1)]


def switched(g, op, p):
    x = g.rand([2])
    if op == "RefSwitch":
        x = g.op("Assign", g.op("VariableV2", dtype="f32", shape=[2], shared_name=g.prefix + "v"), x)
    dead, live = g.op(op, x, g.const(p, "bool"))
    if op == "RefSwitch":
        value, index = g.op("RefMerge", [dead, live])
        return [g.op("Identity", value), index]
    return g.op("Merge", [g.op("Neg", dead), g.op("Square", live)])
