"""Tests of the oracle itself: it must notice wrong products, find constants inside loops, and follow the text rules.

  python -m unittest discover -s testdata/oracle
"""
import io
import unittest

import numpy as np

import tfgraph  # before TensorFlow: it sets how much that logs
from tfgraph import tf, tf1

import products

F = np.float32


def small_graph(rng, k=7, n=5, activation=None, unsigned=False, frame=None):
    """A GraphDef with one product `mm` of placeholder `x` [m, k]; its constants enter `frame` where one is given."""
    graph_def, kind = tf1.GraphDef(), tf.quint8 if unsigned else tf.qint8

    def const(name, value, dtype=tf.float32):
        node = graph_def.node.add(op='Const', name=name)
        node.attr['dtype'].type = dtype.as_datatype_enum
        node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(tfgraph.coded(value, dtype), dtype=dtype, shape=np.shape(value)))
        if frame:
            node = graph_def.node.add(op='Enter', name=name + '/Enter', input=[name])
            node.attr['T'].type = dtype.as_datatype_enum
            node.attr['frame_name'].s, node.attr['is_constant'].b = frame.encode(), True
        return node.name

    x = graph_def.node.add(op='Placeholder', name='x')
    x.attr['dtype'].type = tf.float32.as_datatype_enum
    q = graph_def.node.add(op='QuantizeV2', name='q', input=['x', const('lo', F(0 if unsigned else -3)), const('hi', F(3))])
    q.attr['T'].type, q.attr['mode'].s = kind.as_datatype_enum, b'SCALED'
    if not unsigned:
        q.attr['narrow_range'].b = True
    top = rng.uniform(0.5, 2, n).astype(F)
    mm = graph_def.node.add(op=products.OP, name='mm', input=[
        'q', const('w', rng.integers(-64, 65, [k, n]).astype(np.int8), tf.qint8), const('bias', rng.normal(size=n).astype(F)),
        'q:1', 'q:2', const('wlo', -top), const('whi', top)])
    for name, dtype in (('T1', kind), ('T2', tf.qint8), ('Tbias', tf.float32), ('U', tf.float32), ('Tout', tf.float32)):
        mm.attr[name].type = dtype.as_datatype_enum
    mm.attr['fused_ops'].list.s.extend([b'BiasAdd'] + ([activation.encode()] if activation else []) + [b'Dequantize'])
    mm.attr['Tdevice_inputs'].list.type.extend(t.as_datatype_enum for t in [kind, tf.qint8] + [tf.float32] * 5)
    mm.attr['Thost_inputs'].list.SetInParent()
    mm.attr['Tdevice_outputs'].list.type.append(tf.float32.as_datatype_enum)
    mm.attr['Thost_outputs'].list.SetInParent()
    return graph_def


class Products(unittest.TestCase):
    def setUp(self):
        self.rng = np.random.default_rng(3)
        self.x = {'x': self.rng.normal(size=[4, 7]).astype(F)}

    def test_tensorflow_agrees(self):
        for activation in (None, 'Relu', 'GeluExact', 'Tanh'):
            for unsigned in (False, True):
                with self.subTest(activation=activation, unsigned=unsigned):
                    found = list(products.examine(small_graph(self.rng, activation=activation, unsigned=unsigned), self.x))
                    self.assertEqual([r['from'] for r, *_ in found], ['cut', 'graph'])
                    self.assertTrue(all(r['ok'] for r, *_ in found), found)

    def test_reference_is_the_plain_sum(self):
        (_, v, _), = products.examine(small_graph(self.rng))
        for i, j in np.ndindex(*v['out'].shape):
            total = sum(int(a) * int(w) for a, w in zip(v['a'][i], v['b'][:, j]))
            want = total * (3 / 127) * (float(v['max_b'][j]) / 127) + float(v['bias'][j])
            self.assertAlmostEqual(float(v['out'][i, j]), want, delta=1e-5)

    def test_wrong_products_are_noticed(self):
        graph_def = small_graph(self.rng)
        product = products.Product(graph_def.node[[n.name for n in graph_def.node].index('mm')])
        (_, good, _), = products.examine(graph_def)
        changes = {'out': lambda v: v * F(1 + 4e-6), 'a': lambda v: v + np.eye(*v.shape, dtype=v.dtype),
                   'bias': lambda v: v + F(1e-4), 'max_b': lambda v: v * F(1.1), 'max_a': lambda v: v * F(1.01)}
        self.assertTrue(products.check(product, good)['ok'])
        for name, change in changes.items():
            with self.subTest(name):
                self.assertFalse(products.check(product, good | {name: change(good[name])})['ok'])

    def test_a_product_in_a_loop_is_cut_out(self):
        (record, v, case), = products.examine(small_graph(self.rng, frame='loop'), self.x)
        self.assertEqual((record['loop'], record['fed'], record['ok']), ('loop', ['a'], True))
        self.assertEqual(float(v['max_a'].reshape(-1)[0]), 3.0)
        self.assertEqual({n.op for n in case.node}, {'Const', 'Identity', 'QuantizeV2', products.OP})
        again = tfgraph.run(case, {}, ['mm', 'in/0'])
        np.testing.assert_array_equal(again['mm'], v['out'])
        np.testing.assert_array_equal(again['in/0'], v['a'])
        expect = {n.name: n for n in case.node}['expect/0']
        np.testing.assert_array_equal(tf.make_ndarray(expect.attr['value'].tensor), v['out'])
        self.assertEqual(expect.attr['_of'].s, b'mm:0')

    def test_a_product_in_a_function_is_cut_out(self):
        inner = small_graph(self.rng)
        outer = tf1.GraphDef(versions=tf1.Graph().as_graph_def().versions)
        function = outer.library.function.add()
        function.signature.name = 'body'
        function.signature.input_arg.add(name='x', type=tf.float32.as_datatype_enum)
        function.signature.output_arg.add(name='y', type=tf.float32.as_datatype_enum)
        function.ret['y'] = 'mm:out:0'
        nested = {'q': 'q:output:0', 'q:1': 'q:output_min:0', 'q:2': 'q:output_max:0', 'x': 'x'}
        for node in inner.node:
            if node.op != 'Placeholder':
                node.input[:] = [nested.get(i, i + ':output:0') for i in node.input]
                function.node_def.add().CopyFrom(node)
        (record, *_), = products.examine(outer)
        self.assertEqual((record['function'], record['fed'], record['ok']), ('body', ['a'], True))

    def test_unknown_fusions_are_refused(self):
        graph_def = small_graph(self.rng, activation='Swish')
        with self.assertRaisesRegex(ValueError, 'node "mm"'):
            list(products.examine(graph_def))


class Text(unittest.TestCase):
    def test_lines(self):
        self.assertEqual(tfgraph.read_lines(io.StringIO('a\n\nb')), ['a', '', 'b'])
        self.assertEqual(tfgraph.read_lines(io.StringIO('a\n\n')), ['a', ''])
        self.assertEqual(tfgraph.read_lines(io.StringIO('')), [])

    def test_batches_are_longest_first_and_stable(self):
        rows = [[5, 1], [1], [6, 7, 1], [8, 1], [9, 9, 1]]
        found = list(tfgraph.batches(rows, 2))
        self.assertEqual([i for i, _ in found], [[2, 4], [0, 3], [1]])
        self.assertEqual(found[1][1].tolist(), [[5, 1], [8, 1]])
        self.assertEqual(tfgraph.padded(rows[:3]).tolist(), [[5, 1, 0], [1, 0, 0], [6, 7, 1]])

    def test_hypothesis(self):
        for ids, want in (([0, 4, 5, 1, 0, 0], [4, 5]), ([0, 1, 0], []), ([0, 4, 5], [4, 5]), ([[0, 7, 1], [0, 8, 1]], [7])):
            self.assertEqual(tfgraph.hypothesis(np.array(ids)), want)


if __name__ == '__main__':
    unittest.main()
