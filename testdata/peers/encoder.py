"""An encoder of BERT-base's shape by turns: this project, ONNX Runtime and OpenVINO with the same random weights.

  encoder.py [--bin DIR] [--work DIR] [--rounds 5] [--batch 1,8] [--length 128] [--layers 12]
             [--threads 1,CORES]

Writes the encoder once as a frozen TF1 graph and as ONNX, each in FP32 and INT8, checks that the outputs agree, and times
them: word and position embeddings, 12 layers of width 768 with 12 heads, feed-forward 3072 with erf GELU, layer norm after
each sum. Input: ids, int32 [batch, length]. Prints Markdown tables.
"""
import argparse
import dataclasses
import os
import subprocess
import sys

import numpy as np

import engines
from engines import CORES, HERE, Worker


@dataclasses.dataclass(frozen=True)
class Sizes:
    layers: int = 12
    width: int = 768
    inner: int = 3072
    heads: int = 12
    vocab: int = 2000  # a table that is only read row by row: its size changes no time
    positions: int = 512


def weights(c, seed=7):
    """Random weights by name, float32; variances are kept from layer to layer."""
    rng, w = np.random.default_rng(seed), {}
    normal = lambda name, shape, scale: w.__setitem__(name, (scale * rng.standard_normal(shape)).astype(np.float32))

    def dense(name, rows, columns):
        normal(name + '/kernel', (rows, columns), rows ** -0.5)
        normal(name + '/bias', columns, 0.02)

    def norm(name):
        w[name + '/gamma'] = (1 + 0.1 * rng.standard_normal(c.width)).astype(np.float32)
        normal(name + '/beta', c.width, 0.02)

    normal('words', (c.vocab, c.width), 1.0)
    normal('positions', (c.positions, c.width), 0.3)
    norm('norm')
    for i in range(c.layers):
        for part in 'query', 'key', 'value', 'output':
            dense(f'layer_{i}/{part}', c.width, c.width)
        norm(f'layer_{i}/norm')
        dense(f'layer_{i}/inner', c.width, c.inner)
        dense(f'layer_{i}/outer', c.inner, c.width)
        norm(f'layer_{i}/norm_2')
    return w


# ---- TensorFlow ------------------------------------------------------------------------------------------------------
def write_tensorflow(path, w, c):
    """A frozen graph with the nodes of BERT's published code: feeds ids, fetches encoded [batch, length, width]."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL='3', TF_ENABLE_ONEDNN_OPTS='0')  # fewer messages
    import tensorflow as tf
    tf1 = tf.compat.v1

    def dense(x, name):
        return tf.nn.bias_add(tf.matmul(x, tf.constant(w[name + '/kernel'], name=name + '/kernel')),
                              tf.constant(w[name + '/bias'], name=name + '/bias'))

    def norm(x, name):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        beta, gamma = (tf.constant(w[f'{name}/{part}']) for part in ('beta', 'gamma'))
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)

    with tf.Graph().as_default() as graph:
        ids = tf1.placeholder(tf.int32, [None, None], 'ids')
        batch, length = tf.unstack(tf.shape(ids))
        heads = lambda x: tf.transpose(tf.reshape(x, [batch, length, c.heads, c.width // c.heads]), [0, 2, 1, 3])
        x = tf.gather(tf.constant(w['words']), ids) + tf.constant(w['positions'])[:length]
        x = norm(tf.reshape(x, [-1, c.width]), 'norm')
        for i in range(c.layers):
            at = f'layer_{i}/'
            q, k, v = (heads(dense(x, at + part)) for part in ('query', 'key', 'value'))
            scores = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * (c.width // c.heads) ** -0.5)
            mixed = tf.reshape(tf.transpose(tf.matmul(scores, v), [0, 2, 1, 3]), [-1, c.width])
            x = norm(dense(mixed, at + 'output') + x, at + 'norm')
            y = dense(x, at + 'inner')
            y = y * 0.5 * (1.0 + tf.math.erf(y / np.float32(np.sqrt(2))))
            x = norm(dense(y, at + 'outer') + x, at + 'norm_2')
        tf.reshape(x, [batch, length, c.width], name='encoded')
    with open(path, 'wb') as f:
        f.write(graph.as_graph_def().SerializeToString())


# ---- ONNX ------------------------------------------------------------------------------------------------------------
def write_onnx(path, w, c):
    """The same encoder in ONNX's operators, as exporters write them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    nodes, constants = [], [numpy_helper.from_array(v, k) for k, v in w.items()]

    def op(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f'{kind}_{len(nodes)}'], name=f'{kind}_{len(nodes)}', **attributes))
        return nodes[-1].output[0]

    def const(value, dtype=np.float32):
        constants.append(numpy_helper.from_array(np.asarray(value, dtype), f'const_{len(constants)}'))
        return constants[-1].name

    dense = lambda x, name: op('Add', op('MatMul', x, name + '/kernel'), name + '/bias')
    norm = lambda x, name: op('LayerNormalization', x, name + '/gamma', name + '/beta', axis=-1, epsilon=1e-12)
    split, merged = const([0, 0, c.heads, c.width // c.heads], np.int64), const([0, 0, c.width], np.int64)
    scale, half, one, root = const((c.width // c.heads) ** -0.5), const(0.5), const(1), const(np.sqrt(2))
    heads = lambda x, order: op('Transpose', op('Reshape', x, split), perm=order)
    length = op('Slice', op('Shape', 'ids'), const([1], np.int64), const([2], np.int64))
    codes = op('Slice', 'positions', const([0], np.int64), length, const([0], np.int64))
    x = norm(op('Add', op('Gather', 'words', 'ids'), codes), 'norm')
    for i in range(c.layers):
        at = f'layer_{i}/'
        q, k, v = (heads(dense(x, at + part), order) for part, order in
                   (('query', [0, 2, 1, 3]), ('key', [0, 2, 3, 1]), ('value', [0, 2, 1, 3])))
        scores = op('Softmax', op('Mul', op('MatMul', q, k), scale), axis=-1)
        mixed = op('Reshape', op('Transpose', op('MatMul', scores, v), perm=[0, 2, 1, 3]), merged)
        x = norm(op('Add', dense(mixed, at + 'output'), x), at + 'norm')
        y = dense(x, at + 'inner')
        y = op('Mul', op('Mul', y, op('Add', op('Erf', op('Div', y, root)), one)), half)
        x = norm(op('Add', dense(y, at + 'outer'), x), at + 'norm_2')
    nodes[-1].output[0] = 'encoded'
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, 'encoder', [info('ids', TensorProto.INT32, ['batch', 'length'])],
                              [info('encoded', TensorProto.FLOAT, ['batch', 'length', c.width])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.save(model, path)


def quantize_onnx(at, feeds):
    """INT8 in three ways: dynamic, dynamic after ONNX Runtime's own fusion of transformers, static with Q and DQ nodes."""
    import logging

    import onnx
    from onnxruntime import quantization as q
    from onnxruntime.transformers import optimizer

    class Reader(q.CalibrationDataReader):
        def __init__(self):
            self.feeds = iter(feeds)

        def get_next(self):
            return next(self.feeds, None)

    logging.disable(logging.WARNING)  # it advises steps that do nothing here
    sizes = Sizes()
    fused = optimizer.optimize_model(at('fp32.onnx'), model_type='bert', num_heads=sizes.heads, hidden_size=sizes.width,
                                     opt_level=0)
    fused.save_model_to_file(at('fused.onnx'))
    dynamic = dict(per_channel=True, weight_type=q.QuantType.QInt8)
    q.quantize_dynamic(at('fp32.onnx'), at('dynamic.onnx'), **dynamic)
    q.quantize_dynamic(at('fused.onnx'), at('dynamic_fused.onnx'), **dynamic,
                       extra_options={'DefaultTensorType': onnx.TensorProto.FLOAT})  # of the fused operators
    q.quantize_static(at('fp32.onnx'), at('static.onnx'), Reader(), quant_format=q.QuantFormat.QDQ, per_channel=True,
                      activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8, op_types_to_quantize=['MatMul'])


# ---- the programs ----------------------------------------------------------------------------------------------------
def prepare(a, c):
    """Writes the models that are missing; each is written under another name first, so that none is ever half there."""
    os.makedirs(a.work, exist_ok=True)
    at = lambda name: os.path.join(a.work, name)
    rng = np.random.default_rng(3)
    ids = lambda batch: rng.integers(0, c.vocab, (batch, a.length)).astype(np.int32)
    np.savez(at('calibration.npz'), ids=ids(4))
    for batch in a.batch:
        np.savez(at(f'batch{batch}.npz'), ids=ids(batch))
        np.save(at(f'batch{batch}.npy'), np.load(at(f'batch{batch}.npz'))['ids'])
        for part, half in enumerate(np.array_split(np.load(at(f'batch{batch}.npy')), CORES)):
            np.savez(at(f'batch{batch}-{part}.npz'), ids=half)
    done = at(f'done-{c.layers}-{a.length}')
    if not os.path.exists(done):
        w = weights(c)
        print('encoder: writing the models', file=sys.stderr)
        write_tensorflow(at('fp32.pb'), w, c)
        write_onnx(at('fp32.onnx'), w, c)
        quantize_onnx(at, [{'ids': np.load(at('calibration.npz'))['ids']}])
        open(done, 'w').close()
    for target in 'tensorflow', 'tfq8':  # by the program as it is now
        subprocess.run([os.path.join(a.bin, 'tfq8'), 'convert', at('fp32.pb'), '-o', at(target + '.pb'), '--target', target,
                        '-q', '--outputs', 'encoded', '--calibrate', at('calibration.npz')], check=True, stdout=subprocess.DEVNULL)
    return at


PEERS = {
    'ONNX Runtime FP32': ('onnxruntime', 'fp32.onnx'),
    'ONNX Runtime FP32, fused': ('onnxruntime', 'fused.onnx'),
    'ONNX Runtime INT8 dynamic': ('onnxruntime', 'dynamic.onnx'),
    'ONNX Runtime INT8 dynamic, fused': ('onnxruntime', 'dynamic_fused.onnx'),
    'ONNX Runtime INT8 static': ('onnxruntime', 'static.onnx'),
    'OpenVINO FP32': ('openvino', 'fp32.onnx'),
    'OpenVINO INT8 static': ('openvino', 'static.onnx'),
}


def measure(a, at, batch, threads):
    """One table: all engines at one batch size and number of threads."""
    feeds, workers, values = at(f'batch{batch}.npz'), [], {}
    for model, name in engines.OURS.items():
        file = model + '.pb'
        out = at('ours.npy')
        subprocess.run([os.path.join(a.bin, 'tfq8'), 'run', at(file), '--feed', 'ids=' + at(f'batch{batch}.npy'),
                        '--fetch', 'encoded', '-o', out, '-q'], check=True, stdout=subprocess.DEVNULL)
        values[name] = np.load(out)
        # Rows do not depend on their batch: on several cores the batch is divided among the streams.
        parts = [at(f'batch{batch}-{i}.npz') for i in range(min(batch, CORES))] if threads > 1 else [feeds]
        workers.append(Worker(name, [os.path.join(a.bin, 'turns'), '-fetch', 'encoded', '-threads', str(threads), at(file),
                                     *parts]))
    for name, (engine, file) in PEERS.items():
        try:
            w = engines.server(name, engine, at(file), feeds, '--threads', threads, log=at('peer.log'))
        except engines.Failed as e:
            print(f'note: {e}', file=sys.stderr)
            continue
        w.save(at('peer.npy'))
        values[name] = np.load(at('peer.npy'))
        workers.append(w)
    results = engines.alternate(workers, a.rounds)
    for w in workers:
        w.close()
    first = values['tfq8 FP32'].ravel().astype(np.float64)

    def cells(name, got):
        v = values[name].ravel().astype(np.float64)
        if 'FP32' in name and not np.allclose(v, first, rtol=1e-3, atol=1e-3):
            print(f'note: {name} differs from tfq8 FP32 by up to {np.abs(v - first).max():.2g}', file=sys.stderr)
        return [f'{engines.median(got) * 1e3:.1f}', f'{v @ first / np.sqrt((v @ v) * (first @ first)):.4f}']

    engines.table(f'Batch {batch}, length {a.length}, {threads} thread{"s" * (threads > 1)}: milliseconds, cosine with '
                  'tfq8 FP32, and how many times as long as ours', ['engine', 'ms', 'cosine', *engines.COLUMNS],
                  engines.rows_of(results, cells))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.join(HERE, '..', '..')
    numbers = lambda text: [int(n) for n in text.split(',')]
    ap.add_argument('--bin', default=os.path.join(root, 'bin'))
    ap.add_argument('--work', default=os.path.join(root, '.cache', 'peers-work', 'encoder'))
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--batch', type=numbers, default=[1, 8])
    ap.add_argument('--length', type=int, default=128)
    ap.add_argument('--layers', type=int, default=12)
    ap.add_argument('--threads', type=numbers, default=sorted({1, CORES}),
                    help='numbers of threads; those above 1 for batches above 1 only')
    a = ap.parse_args()
    at = prepare(a, Sizes(layers=a.layers))
    print(f'\nAn encoder of BERT-base\'s shape, {a.layers} layers; {engines.machine()}; median of {a.rounds} turns')
    for threads in a.threads:
        for batch in a.batch:
            if threads == 1 or batch > 1:
                measure(a, at, batch, threads)


if __name__ == '__main__':
    main()
