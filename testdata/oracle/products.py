"""The quantized products of an emitted graph, one by one: what TensorFlow computes for each on given codes, against
an exact evaluation in numpy.

`_QuantizedMatMul` takes a, b, bias, [addend], min_a, max_a, min_b, max_b, [min_out, max_out]. With acc the exact
integer product and s[j] = f32(src * wei[j]) it gives y = f32(acc) * s[j] + bias[j], each operation rounded to float32,
then the addend, the activation, and either y (Dequantize) or its codes (Requantize).

A product outside of loops is fetched from the graph itself, with its inputs. Every product, in loops too, is also cut
out: a graph of this one node, its constants found through Enter and Identity, a placeholder for its codes.
"""
import math

import numpy as np

import tfgraph
from tfgraph import tf, tf1

F = np.float32

OP = '_QuantizedMatMul'
ACTIVATIONS = {
    'Relu': lambda y: np.maximum(y, 0),
    'Relu6': lambda y: np.clip(y, 0, 6),
    'LeakyRelu': lambda y, alpha: np.where(y > 0, y, alpha * y),
    'Elu': lambda y: np.where(y > 0, y, np.expm1(np.minimum(y, 0))),
    'Tanh': np.tanh,
    'Sigmoid': lambda y: 1 / (1 + np.exp(-y)),
    'GeluExact': lambda y: 0.5 * y * (1 + np.vectorize(math.erf, otypes=[float])(y / math.sqrt(2))),
    'GeluApproximate': lambda y: 0.5 * y * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y ** 3))),
}
PIECEWISE_LINEAR = ('Relu', 'Relu6', 'LeakyRelu')
RELATIVE, CURVED = 1e-6, 2e-6  # allowed: relative to the sum of the terms' magnitudes; absolute, for curved activations


class Product:
    """A node's attributes under plain names, and the order of its inputs."""

    def __init__(self, node):
        attr = lambda name, default: node.attr[name].s.decode() if name in node.attr else default
        self.node, self.name = node, node.name
        self.ops = [s.decode() for s in node.attr['fused_ops'].list.s]
        self.unsigned = node.attr['T1'].type == tf.quint8.as_datatype_enum
        self.min_first = attr('input_quant_mode', 'SCALED') == 'MIN_FIRST'
        self.out_min_first = attr('output_quant_mode', 'SCALED') == 'MIN_FIRST'
        self.out_unsigned = node.attr['Tout'].type == tf.quint8.as_datatype_enum
        self.transposed = node.attr['transpose_b'].b
        self.alpha = node.attr['leakyrelu_alpha'].f if 'leakyrelu_alpha' in node.attr else 0.2
        self.requantized = 'Requantize' in self.ops
        self.inputs = ['a', 'b', 'bias'] + ['addend'] * ('Add' in self.ops) + ['min_a', 'max_a', 'min_b', 'max_b']
        self.inputs += ['min_out', 'max_out'] * self.requantized
        self.outputs = ['out'] + ['out_min', 'out_max'] * self.requantized
        unknown = set(self.ops) - set(ACTIVATIONS) - {'BiasAdd', 'Add', 'Dequantize', 'Requantize'}
        if unknown or ('Dequantize' in self.ops) == self.requantized or 'BiasAdd' not in self.ops:
            raise ValueError(f'node "{node.name}" ({OP}): fused_ops {self.ops} are not among those that this check knows')

    def describe(self, v):
        m, k = v['a'].shape
        return {'type': 'u8' if self.unsigned else 's8', 'mode': 'MIN_FIRST' if self.min_first else 'SCALED',
                'fused_ops': self.ops, 'm': m, 'k': k, 'n': int(v['bias'].size), 'transpose_b': self.transposed,
                'channels': int(v['min_b'].size), 'largest_weight': int(np.abs(v['b'].astype(np.int32)).max(initial=0))}


# ---- exact evaluation ------------------------------------------------------------------------------------------------
def largest(low, high):
    return np.maximum(np.abs(low), np.abs(high)).astype(F)


def exact(product, v):
    """Evaluates a product on its inputs v -> (its outputs by name, the magnitude of the terms that y sums)."""
    low, high = F(v['min_a'].reshape(-1)[0]), F(v['max_a'].reshape(-1)[0])
    span = F(high - low) if product.min_first else largest(low, high)
    codes = F(255 if product.unsigned else 127)
    top = largest(v['min_b'], v['max_b']).reshape(-1)
    b = v['b'].T if product.transposed else v['b']
    acc = v['a'].astype(np.float64) @ b.astype(np.float64)  # below 2^53: every sum of integers is exact
    scale = (F(span / codes) * (top / F(127)).astype(F)).astype(F)
    bias = v['bias'].astype(F).reshape(-1)
    if product.min_first:  # codes start at low: take out what this shift adds to each column
        columns = b.astype(np.int64).sum(0).astype(F)
        bias = bias + (columns * F(codes * low / span)) / ((codes * F(127)) / (span * top)).astype(F)
    scaled = (acc.astype(F) * scale).astype(F)
    y, size = (scaled + bias).astype(F), np.abs(scaled) + np.abs(bias)
    for op in product.ops:
        if op == 'Add':
            y, size = (y + v['addend']).astype(F), size + np.abs(v['addend'])
        elif op == 'LeakyRelu':
            y = ACTIVATIONS[op](y, F(product.alpha)).astype(F)
        elif op in ACTIVATIONS:
            y = ACTIVATIONS[op](y.astype(np.float64)).astype(F)
    if not product.requantized:
        return {'out': y}, size
    low, high = F(v['min_out'].reshape(-1)[0]), F(v['max_out'].reshape(-1)[0])
    span = F(high - low) if product.out_min_first else largest(low, high)
    first, last = (0, 255) if product.out_unsigned else (-128, 127)
    shift = F(-low * F(last) / span) if product.out_min_first else F(0)
    out = np.clip(np.rint((y * F(F(last) / span)).astype(F) + shift), first, last)
    ends = (low, high) if product.out_min_first else (F(0) if product.out_unsigned else -span, span)
    return {'out': out.astype(np.uint8 if product.out_unsigned else np.int8), 'out_min': ends[0], 'out_max': ends[1]}, size


def check(product, v):
    """Compares TensorFlow's outputs in v with the exact ones -> {'error', 'different', 'elements', 'ok'}.

    error is the largest |got - want| by the sum of the terms' magnitudes; for codes, the largest difference in codes.
    """
    want, size = exact(product, v)
    got = v['out']
    if got.shape != want['out'].shape:
        return {'error': math.inf, 'different': got.size, 'elements': got.size, 'ok': False}
    gap = np.abs(got.astype(np.float64) - want['out'].astype(np.float64))
    result = {'different': int((gap > 0).sum()), 'elements': got.size}
    if product.requantized:
        ends = all(abs(v[k].item() - float(want[k])) <= RELATIVE * abs(float(want[k])) for k in ('out_min', 'out_max'))
        return result | {'error': float(gap.max(initial=0)), 'ok': bool(gap.max(initial=0) <= 1 and ends)}
    curved = any(op in ACTIVATIONS and op not in PIECEWISE_LINEAR for op in product.ops)
    share = np.maximum(gap - (CURVED if curved else 0), 0) / np.maximum(size, np.finfo(F).tiny)
    return result | {'error': float(share.max(initial=0)), 'ok': bool(share.max(initial=0) <= RELATIVE)}


# ---- cutting a product out of its graph ------------------------------------------------------------------------------
class Dynamic(Exception):
    """A value that is not a constant of the graph."""


class Cut:
    """A GraphDef of one product: constants copied from `nodes`, placeholders in/NAME for what is not constant."""

    def __init__(self, nodes, product):
        self.nodes, self.product = nodes, product
        self.graph_def, self.made, self.fed = tf1.GraphDef(), set(), []
        kept = self.graph_def.node.add()
        kept.CopyFrom(product.node)
        for key in [k for k in kept.attr if k in ('_class', '_output_shapes')]:
            del kept.attr[key]
        del kept.input[:]
        sources = [i for i in product.node.input if not i.startswith('^')]
        for name, source in zip(product.inputs, sources, strict=True):
            try:
                if name in ('a', 'addend'):
                    raise Dynamic
                kept.input.append(self.constant(source))
            except Dynamic:
                kept.input.append(self.placeholder(name))

    def placeholder(self, name):
        attr = {'a': 'T1', 'b': 'T2', 'bias': 'Tbias', 'addend': 'U'}.get(name)
        node = self.graph_def.node.add(op='Placeholder', name='in/' + name)
        node.attr['dtype'].type = self.product.node.attr[attr].type if attr else tf.float32.as_datatype_enum
        self.fed.append(name)
        return node.name

    def constant(self, source):
        """Copies what computes `source` from constants, loops' Enter as Identity -> its name in the cut graph."""
        name, port = tfgraph.split_input(source)
        node = self.nodes[name]
        if node.op in ('Placeholder', 'Merge', 'Switch', 'NextIteration', 'Exit', 'LoopCond') or \
                (node.op == 'Enter' and not node.attr['is_constant'].b):
            raise Dynamic
        inputs = [i for i in node.input if not i.startswith('^')]
        if node.op == 'QuantizeV2' and port > 0:  # its range does not depend on the values that it quantizes
            taken = [self.zeros()] + [self.constant(i) for i in inputs[1:]]
            name += '/range'
        else:
            taken = [self.constant(i) for i in inputs]
        if name not in self.made:
            self.made.add(name)
            copy = self.graph_def.node.add()
            copy.CopyFrom(node)
            copy.name = name
            for key in [k for k in copy.attr if k.startswith('_')]:
                del copy.attr[key]
            if node.op == 'Enter':
                copy.op = 'Identity'
                for key in ('frame_name', 'is_constant', 'parallel_iterations'):
                    copy.attr.pop(key, None)
            del copy.input[:]
            copy.input.extend(taken)
        return f'{name}:{port}'

    def zeros(self):
        if 'in/zeros' not in self.made:
            self.made.add('in/zeros')
            node = self.graph_def.node.add(op='Const', name='in/zeros')
            node.attr['dtype'].type = tf.float32.as_datatype_enum
            node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(np.zeros([1, 1], F)))
        return 'in/zeros'

    def run(self, rng, rows):
        """Feeds random codes over the whole range of their type -> the product's inputs and outputs by name."""
        p = self.product
        with tfgraph.session(self.graph_def) as s:
            fetch = lambda name: f'{p.name}:0' if name == 'out' else self.graph_def.node[0].input[p.inputs.index(name)]
            known = [n for n in p.inputs if n not in self.fed]
            v = {n: tfgraph.plain(x) for n, x in zip(known, s.run([tfgraph.tensor_name(fetch(n)) for n in known]))}
            b = v['b'] if 'b' in v else rng.integers(-64, 65, [32, 32]).astype(np.int8)
            k, n = b.shape[::-1] if p.transposed else b.shape
            drawn = {'a': rng.integers(0, 256, [rows, k]).astype(np.uint8) if p.unsigned else
                          rng.integers(-127, 128, [rows, k]).astype(np.int8),
                     'b': b, 'bias': rng.normal(size=n).astype(F), 'addend': rng.normal(size=[rows, n]).astype(F),
                     'min_a': F(-4), 'max_a': F(4), 'min_b': F(-1), 'max_b': F(1), 'min_out': F(-8), 'max_out': F(8)}
            v |= {name: np.asarray(drawn[name]) for name in self.fed}
            feeds = tfgraph.feed_dict(s.graph, {'in/' + name: v[name] for name in self.fed})
            out = s.run([f'{p.name}:{i}' for i in range(len(p.outputs))], feeds)
        return v | {name: tfgraph.plain(x) for name, x in zip(p.outputs, out)}


def case(cut, v):
    """The cut product as a recorded case: its placeholders as Const nodes in/N, its outputs as Const nodes expect/N.

    Floats may lie 1e-6 (relative) off; where terms cancel, 1e-7 of the largest sum of magnitudes. Codes may lie 1 off.
    """
    out, p, renamed = tf1.GraphDef(), cut.product, {'in/' + name: f'in/{i}' for i, name in enumerate(cut.fed)}

    def const(name, value, dtype):
        node = out.node.add(op='Const', name=name)
        node.attr['dtype'].type = dtype.as_datatype_enum
        node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(tfgraph.coded(value, dtype), dtype=dtype, shape=value.shape))
        return node

    for node in cut.graph_def.node:
        if node.name in renamed:
            const(renamed[node.name], v[node.name.removeprefix('in/')], tf.as_dtype(node.attr['dtype'].type))
        else:
            kept = out.node.add()
            kept.CopyFrom(node)
            kept.input[:] = [renamed.get(i, i) for i in node.input]
    for i, name in enumerate(p.outputs):
        floats = name != 'out' or not p.requantized
        codes = tf.quint8 if p.out_unsigned else tf.qint8
        expect = const(f'expect/{i}', v[name], tf.as_dtype(v[name].dtype) if floats else codes)
        expect.attr['_of'].s = f'{p.name}:{i}'.encode()
        expect.attr['_rtol'].f = RELATIVE if floats else 0
        expect.attr['_atol'].f = 0.1 * RELATIVE * float(exact(p, v)[1].max(initial=0)) if floats else 1
    return out


# ---- a whole graph ---------------------------------------------------------------------------------------------------
def examine(graph_def, feeds=None, rows=5, seed=1):
    """Yields (record, inputs and outputs by name, case) for each product: cut out; then, with feeds, as fetched outside of loops.

    The case of a fetched product is None. A record tells where the product stands: its function ('' for the graph itself) and its v1 loop ('' for none).
    """
    def record(p, function, loop, origin, fed, v):
        return {'node': p.name, 'function': function, 'loop': loop, 'from': origin, 'fed': fed} | p.describe(v) | check(p, v)

    outer, count = [], 0
    for function, body in tfgraph.bodies(graph_def):
        nodes, frames = {n.name: n for n in body.node}, tfgraph.frames(body)
        for p in (Product(n) for n in body.node if n.op == OP):
            cut, loop = Cut(nodes, p), frames.get(p.name, '')
            v = cut.run(np.random.default_rng([seed, count]), rows)
            count += 1
            yield record(p, function, loop, 'cut', cut.fed, v), v, case(cut, v)
            if not function and not loop:
                outer.append(p)
    if feeds is None or not outer:
        return
    with tfgraph.session(graph_def) as s:
        wanted = [[tfgraph.tensor_name(i) for i in p.node.input if not i.startswith('^')] +
                  [f'{p.name}:{i}' for i in range(len(p.outputs))] for p in outer]
        values = s.run(wanted, tfgraph.feed_dict(s.graph, feeds))
    for p, found in zip(outer, values):
        v = {name: tfgraph.plain(x) for name, x in zip(p.inputs + p.outputs, found)}
        yield record(p, '', '', 'graph', [], v), v, None
