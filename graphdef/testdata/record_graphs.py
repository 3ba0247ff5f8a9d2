"""Records the graphs of this folder with TensorFlow 2.21 (CPU): python record_graphs.py

functions.pb, loop.pb: graphs as TensorFlow writes them. tensors.pb: one Const for each way to write a TensorProto;
tensors.tsv: name, dtype, shape and the bytes of the elements as TensorFlow's kernels see them.
"""
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, tensor_pb2

v1 = tf.compat.v1


def write(name, g):
    with open(name, "wb") as f:
        f.write(g.SerializeToString(deterministic=True))


def functions():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([], tf.int32, name="n")])
    def f(x, n):
        i, y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.math.top_k(y * 2.0, 1)[0] + y), [0, x])
        z = tf.cond(n > 2, lambda: tf.split(y, 2)[1], lambda: y)
        return {"z": z, "i": i}

    write("functions.pb", f.get_concrete_function().graph.as_graph_def())


def loop():
    v1.disable_control_flow_v2()
    with tf.Graph().as_default() as g:
        n = v1.placeholder(tf.int32, [], name="n")
        w = tf.constant([[1.0, 2.0], [3.0, 4.0]], name="w")
        step = lambda i, s: (i + 1, tf.matmul(s, w) / 2.0)
        r = v1.while_loop(lambda i, s: i < n, step, [0, tf.ones([1, 2])], name="loop")
        tf.identity(v1.cond(r[0] > 3, lambda: r[1] + 1.0, lambda: r[1]), name="out")
    write("loop.pb", g.as_graph_def(add_shapes=True))


def tensors():
    fields = {
        "float": ("float_val", [1.5, -0.0, float("nan"), float("inf")]), "double": ("double_val", [0.1, -2.0]),
        "int32": ("int_val", [-1, 2**31 - 1]), "uint8": ("int_val", [200, 1]), "int8": ("int_val", [-128, 3]),
        "int16": ("int_val", [-300, 5]), "uint16": ("int_val", [65535, 5]), "int64": ("int64_val", [-2, 2**53 + 1]),
        "bool": ("bool_val", [True, False]), "half": ("half_val", [15872, 49152]), "bfloat16": ("half_val", [16320, 49152]),
        "uint32": ("uint32_val", [2**32 - 1, 0]), "uint64": ("uint64_val", [2**64 - 1, 7]), "complex64": ("scomplex_val", [1, 2, 3, -4]),
        "complex128": ("dcomplex_val", [0.1, 2, 3, -4]), "string": ("string_val", [b"a", b"\xff\x00"]),
        "qint8": ("int_val", [-3, 4]), "quint8": ("int_val", [200, 4]), "qint32": ("int_val", [-5, 6]),
    }
    g = graph_pb2.GraphDef()
    rows = []

    def const(name, p):
        n = g.node.add(name=name, op="Const")
        n.attr["dtype"].type = p.dtype
        n.attr["value"].tensor.CopyFrom(p)
        with tf.Graph().as_default(), v1.Session() as s:
            tf.import_graph_def(g, name="")
            x = s.run(name + ":0")
        x = np.array(x, object) if isinstance(x, bytes) else np.asarray(x)
        data = b"|".join(x.ravel().tolist()) if x.dtype == object else x.tobytes()
        shape = "x".join(map(str, x.shape)) if x.shape else "scalar"
        rows.append("\t".join([name, tf.as_dtype(p.dtype).name, shape, data.hex()]))

    for name, (field, values) in fields.items():
        t = tf.as_dtype({"float": "float32", "double": "float64", "half": "float16"}.get(name, name)).as_datatype_enum
        per = 2 if "complex" in name else 1
        for kind, shape, vals in [("all", [len(values) // per, 1], values), ("short", [2, 2], values[: per]), ("none", [3], []), ("empty", [0, 2], values),
                                  ("scalar", [], values[-per:])]:
            p = tensor_pb2.TensorProto(dtype=t)
            for d in shape:
                p.tensor_shape.dim.add().size = d
            getattr(p, field).extend(vals)
            const(name + "_" + kind, p)
        p = tf.make_tensor_proto(np.array([1, 0, 1]).astype(tf.as_dtype(t).as_numpy_dtype)) if name != "string" else tf.make_tensor_proto([b"x", b""])
        const(name + "_python", p)
    write("tensors.pb", g)
    with open("tensors.tsv", "w") as f:
        f.write("\n".join(rows) + "\n")


functions()
loop()
tensors()
