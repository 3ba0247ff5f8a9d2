"""A base-size Transformer with random weights by turns: this project and CTranslate2.

  base.py [--bin DIR] [--work DIR] [--rounds 5] [--sentences 64] [--length 20] [--quick]

6 + 6 layers, width 512, feed-forward 2048, 8 heads, vocabulary 32,000, beam 4, as testdata/numbers/model.py builds it. Random
weights never end a sentence, so that every engine writes as many tokens as the source has: the work is fixed. Prints
Markdown tables.
"""
import argparse
import json
import os
import subprocess
import sys

import numpy as np

import ct2
import engines
from engines import COLUMNS, CORES, HERE, OURS, Worker

sys.path.append(os.path.join(HERE, '..', 'numbers'))
VOCAB, HEADS = 32000, 8
FETCHES = ['translations', 'scores']
BATCH, SINGLE = 32, 4  # sentences: of a batch, and in a turn of one at a time


def write(path):
    """The frozen graph. The row of the end of sentence is zero: 31,999 other logits are around it, a few of them larger."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL='3', TF_ENABLE_ONEDNN_OPTS='0')  # fewer messages
    import tensorflow as tf

    import model
    tf1, rng = tf.compat.v1, np.random.default_rng(5)
    tf.get_logger().setLevel('ERROR')
    with tf.Graph().as_default() as graph:
        model.build(model.Sizes(vocab=VOCAB, width=512, inner=2048, heads=HEADS, layers=6, extra=0))
        with tf1.Session() as session:
            for v in tf1.global_variables():
                kind, shape = v.op.name.rsplit('/', 1)[1], v.shape.as_list()
                if kind == 'embedding':
                    value = rng.standard_normal(shape) * shape[1] ** -0.5
                    value[model.EOS] = 0
                elif kind == 'kernel':
                    value = rng.standard_normal(shape) * (2 / sum(shape)) ** 0.5
                else:
                    value = np.full(shape, float(kind == 'gamma')) + 0.02 * rng.standard_normal(shape)
                v.load(value.astype(np.float32), session)
            frozen = tf1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), FETCHES)
    with open(path, 'wb') as f:
        f.write(frozen.SerializeToString())


def prepare(a):
    """Writes what is missing, and converts with the program as it is now."""
    os.makedirs(a.work, exist_ok=True)
    at = lambda name: os.path.join(a.work, name)
    if not os.path.exists(at('done')):
        print('base: writing the models', file=sys.stderr)
        write(at('fp32.pb'))
        ct2.convert(at('fp32.pb'), at('ct2'), heads=HEADS)
        open(at('done'), 'w').close()
    rng = np.random.default_rng(9)
    ids = rng.integers(3, VOCAB, (a.sentences, a.length)).astype(np.int32)
    ids[:, -1] = 1
    np.savez(at('calibration.npz'), source=rng.integers(3, VOCAB, (4, 12)).astype(np.int32))
    for target in 'tensorflow', 'tfq8':
        subprocess.run([os.path.join(a.bin, 'tfq8'), 'convert', at('fp32.pb'), '-o', at(target + '.pb'), '--target', target,
                        *(w for f in FETCHES for w in ('--outputs', f)), '--calibrate', at('calibration.npz'), '-q'],
                       check=True, stdout=subprocess.DEVNULL)
    return at, ids


def sentences(at, ids):
    path = at(f'sentences-{len(ids)}.json')
    with open(path, 'w', encoding='utf-8') as f:
        json.dump([[str(i) for i in row] for row in ids.tolist()], f)
    return path


def feeds(at, ids, size):
    paths = []
    for i in range(0, len(ids), size):
        paths.append(at(f'batch{size}-{len(paths)}.npz'))
        np.savez(paths[-1], source=ids[i:i + size])
    return paths


def measure(a, at, ids, size):
    """One table: batches of size on all cores, or one sentence at a time on one."""
    threads = CORES if size > 1 else 1
    workers = [Worker(name, [os.path.join(a.bin, 'turns'), '-fetch', 'translations', '-threads', str(threads),
                             at(model + '.pb'), *feeds(at, ids, size)]) for model, name in OURS.items()]
    settings = {}
    for kind in 'float32', 'int8':
        def start(some, batch, **s):
            workers = CORES // s['threads'] if size > 1 else 1
            return engines.server('CTranslate2 ' + kind, 'ctranslate2', at('ct2'), sentences(at, some), '--type', kind,
                                  '--threads', s['threads'], '--workers', workers, '--batch', batch, '--least', a.length,
                                  '--most', a.length, env=engines.ct2_env(s), log=at('peer.log'))
        sample, half = (ids[:size // 2 * CORES], size // 2) if size > 1 else (ids[:1], 1)
        s = engines.best('CTranslate2', lambda **s: start(sample, half, **s),
                         {'threads': [1, CORES] if CORES > 1 else [1], **engines.ct2_choices()}, a.quick)
        workers.append(start(ids, size, **s))
        settings[workers[-1].name] = engines.describe(s)
        if kind == 'float32':
            agree(a, at, ids[:len(ids) if size == 1 else size], workers[-1])
    results = engines.alternate(workers, a.rounds)
    for w in workers:
        w.close()
    title = f'{len(ids)} sentences, batches of {size}, {threads} cores: seconds' if size > 1 else (
        f'{len(ids)} sentences, one at a time: seconds')
    engines.table(title + ', and how many times as long as ours', ['engine', 'settings', 's', *COLUMNS], engines.rows_of(
        results, lambda name, got: [settings.get(name, f'threads {threads}'), f'{engines.median(got):.3f}']))


def agree(a, at, ids, peer):
    """Says in how many sentences the best hypotheses of both FP32 engines are the same: near ties may fall either way."""
    np.save(at('check.npy'), ids)
    subprocess.run([os.path.join(a.bin, 'tfq8'), 'run', at('fp32.pb'), '--feed', 'source=' + at('check.npy'),
                    '--fetch', 'translations', '-o', at('ours.npy'), '-q'], check=True, stdout=subprocess.DEVNULL)
    peer.save(at('peer.json'))
    with open(at('peer.json'), encoding='utf-8') as f:
        theirs = [[int(t) for t in row] for row in json.load(f)]
    ours = np.load(at('ours.npy'))[:, 0, 1:].tolist()
    print(f'base: {sum(x == y for x, y in zip(ours, theirs))} of {len(ours)} sentences are the same in {peer.name} and '
          'tfq8 FP32', file=sys.stderr)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.join(HERE, '..', '..')
    ap.add_argument('--bin', default=os.path.join(root, 'bin'))
    ap.add_argument('--work', default=os.path.join(root, '.cache', 'peers-work', 'base'))
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--quick', action='store_true', help="take CTranslate2's usual settings instead of looking for the best")
    ap.add_argument('--sentences', type=int, default=64)
    ap.add_argument('--length', type=int, default=20)
    a = ap.parse_args()
    at, ids = prepare(a)
    print(f'\nA base-size Transformer, random weights; {engines.machine()}; {a.length} tokens in, {a.length} out, beam 4; '
          f'median of {a.rounds} turns')
    measure(a, at, ids, min(BATCH, -(-len(ids) // CORES)))
    measure(a, at, ids[:SINGLE], 1)


if __name__ == '__main__':
    main()
