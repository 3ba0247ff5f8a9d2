"""Graphs, tensors and sentences, as the oracle's commands need them: reading frozen GraphDefs into TensorFlow, plain
numpy arrays for quantized values, length-sorted batches of sentences, and which loop a node belongs to.
"""
import os
import platform

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import rewriter_config_pb2
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

tf1 = tf.compat.v1
tf.get_logger().setLevel('ERROR')

PAD, EOS = 0, 1


# ---- graphs and tensors ----------------------------------------------------------------------------------------------
def load(path):
    """The GraphDef in a .pb or .pbtxt file."""
    graph_def = tf1.GraphDef()
    with open(path, 'rb') as f:
        data = f.read()
    if path.endswith('.pbtxt'):
        text_format.Parse(data.decode('utf-8'), graph_def)
    else:
        graph_def.ParseFromString(data)
    return graph_def


def session(graph_def, threads=2, fuse=True):
    """A TF1 session on a graph of its own that holds graph_def; fetch and feed by tensor name."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name='')
    return tf1.Session(graph=graph, config=config(threads, fuse))


def config(threads=2, fuse=True):
    """Options of a TF1 session. Without fuse nodes are computed one by one: the remapper's fused GELU is off by 1e-3."""
    c = tf1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1)
    if not fuse:
        c.graph_options.rewrite_options.remapping = rewriter_config_pb2.RewriterConfig.OFF
    return c


def tensor_name(name):
    """A node's name stands for its output 0."""
    return name if ':' in name else name + ':0'


def split_input(name):
    """An input of a node -> (node, output); control inputs have output -1."""
    if name.startswith('^'):
        return name[1:], -1
    node, _, port = name.partition(':')
    return node, int(port or 0)


def plain(value):
    """TensorFlow's quantized and bfloat16 arrays as integers and float32 of the same values, others as they are."""
    value = np.asarray(value)
    if value.dtype.fields:  # qint8 is a structured dtype with one field
        kind = next(iter(value.dtype.fields.values()))[0]
        return np.ascontiguousarray(value).view(kind).reshape(value.shape)
    if value.dtype == tf.bfloat16.as_numpy_dtype:
        return value.astype(np.float32)
    return np.ascontiguousarray(value).reshape(value.shape)


def coded(value, dtype):
    """Plain integers as an array that TensorFlow takes for the quantized `dtype`; others are passed on."""
    if dtype.is_quantized:
        kind = np.dtype(dtype.as_numpy_dtype)
        return np.ascontiguousarray(value).astype(next(iter(kind.fields.values()))[0]).view(kind).reshape(np.shape(value))
    return value


def feed_dict(graph, feeds):
    """{name: array} -> {tensor name: array in the placeholder's dtype}; a feed that the graph lacks is an error."""
    out = {}
    for name, value in feeds.items():
        tensor = graph.get_tensor_by_name(tensor_name(name))
        dtype = tensor.dtype
        out[tensor.name] = coded(value, dtype) if dtype.is_quantized else np.asarray(value, dtype.as_numpy_dtype)
    return out


def run(graph_def, feeds, fetches, threads=2):
    """Feeds {name: array} through graph_def -> {fetch: plain array}."""
    with session(graph_def, threads) as s:
        values = s.run([tensor_name(f) for f in fetches], feed_dict(s.graph, feeds))
    return {name: plain(value) for name, value in zip(fetches, values)}


def frames(graph_def):
    """Node name -> name of the v1 while frame that it runs in ('' outside of loops)."""
    users, parent, at, queue = {}, {'': ''}, {}, []
    nodes = {n.name: n for n in graph_def.node}
    for n in graph_def.node:
        for i in n.input:
            users.setdefault(split_input(i)[0], []).append(n.name)
        if not n.input:
            at[n.name] = ''
            queue.append(n.name)
    while queue:
        name = queue.pop()
        node, frame = nodes[name], at[name]
        leaves = parent[frame] if node.op in ('Exit', 'RefExit') else frame
        for user in users.get(name, ()):
            if user in at:
                continue
            if nodes[user].op in ('Enter', 'RefEnter'):
                child = nodes[user].attr['frame_name'].s.decode()
                parent[child] = leaves
                at[user] = child
            else:
                at[user] = leaves
            queue.append(user)
    return at


def bodies(graph_def):
    """Yields (name, GraphDef) of the graph itself (name '') and of each function body in its library.

    Arguments of a function stand in its GraphDef as Placeholders.
    """
    yield '', graph_def
    library = tf1.GraphDef(library=graph_def.library, versions=graph_def.versions)
    with tf.Graph().as_default():
        tf.import_graph_def(library, name='')  # calls among bodies are looked up in the default graph
        for function in graph_def.library.function:
            yield function.signature.name, function_def_to_graph_def(function)[0]


def has_vnni():
    """Whether this CPU adds products of bytes in 32 bits (AVX-VNNI or AVX512-VNNI); None where that is not known."""
    if platform.system() != 'Linux' or platform.machine() not in ('x86_64', 'AMD64'):
        return None
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        flags = next((line.split() for line in f if line.startswith('flags')), [])
    return 'avx512_vnni' in flags or 'avx_vnni' in flags


# ---- sentences -------------------------------------------------------------------------------------------------------
def read_lines(file):
    """The lines of an open text file; the last needs no newline."""
    text = file.read()
    return text.removesuffix('\n').split('\n') if text else []


def encode(sp, lines, eos=EOS):
    """Each line as its pieces, then eos; an empty line is eos alone."""
    return [sp.encode(line) + [eos] for line in lines]


def padded(rows, pad=PAD):
    """Lists of ids -> int32 [rows, longest]."""
    out = np.full([len(rows), max(map(len, rows))], pad, np.int32)
    for i, row in enumerate(rows):
        out[i, :len(row)] = row
    return out


def batches(rows, size, pad=PAD):
    """Yields (numbers of the rows, their ids [n, longest]): longest rows first, equal lengths in input order."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    for at in range(0, len(order), size):
        some = order[at:at + size]
        yield some, padded([rows[i] for i in some], pad)


def hypothesis(ids, pad=PAD, eos=EOS):
    """One row of token ids [n], the first beam's if [beams, n] -> its ids up to eos, without start token and pads.

    A leading start token is one that is pad (this family of models starts with it).
    """
    row = (ids[0] if ids.ndim == 2 else ids).tolist()
    if eos in row:
        row = row[:row.index(eos)]
    return [i for i in row if i != pad]
