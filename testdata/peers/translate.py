"""Translation by turns: this project, TensorFlow and CTranslate2 with the same weights on the same sentences.

  translate.py --bin DIR [--data FOLDER] [--rounds 5] [--quick] [--limit N] [--work DIR]

FOLDER (or TFQ8_PEERS_DATA; testdata/numbers unless given) holds one frozen graph *.pb besides case_*.pb, spm.model,
calibration.en, and a test set test*.en, test*.de. DIR holds tfq8 and turns. Prints Markdown tables.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import time

import numpy as np

import ct2
import engines
from engines import CORES, COLUMNS, HERE, OURS, Command, Worker

sys.path.append(os.path.join(HERE, '..', 'oracle'))
FETCHES = ['translations', 'scores']
SINGLE = 100  # sentences of the rows that translate one at a time


class Data:
    """A folder of model and text, and what this program makes of them in a folder of its own."""

    def __init__(self, a):
        self.folder, self.tfq8, self.turns = a.data, os.path.join(a.bin, 'tfq8'), os.path.join(a.bin, 'turns')
        self.work = os.path.join(a.work, os.path.basename(os.path.normpath(a.data)))
        os.makedirs(self.work, exist_ok=True)
        graphs = [p for p in glob.glob(os.path.join(a.data, '*.pb')) if not os.path.basename(p).startswith('case_')]
        tests = sorted(glob.glob(os.path.join(a.data, 'test*.en')))
        if len(graphs) != 1 or not tests:
            sys.exit(f'translate: {a.data}: have {len(graphs)} graphs and {len(tests)} test sets, want one of each')
        self.graph, self.source, self.spm = graphs[0], tests[0], os.path.join(a.data, 'spm.model')
        self.reference = self.source.removesuffix('.en') + '.de'
        import sentencepiece
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=self.spm)
        self.lines, self.answers = self.read(self.source, a.limit), self.read(self.reference, a.limit)
        self.ids = [self.pieces.encode(line) + [self.pieces.eos_id()] for line in self.lines]

    def read(self, path, limit):
        with open(path, encoding='utf-8') as f:
            return f.read().removesuffix('\n').split('\n')[:limit]

    def path(self, name):
        return os.path.join(self.work, name)

    def models(self):
        """Paths of FP32 and both INT8 targets, which are converted here, by their names in the tables."""
        graphs = {OURS['fp32']: self.graph}
        for target in 'tensorflow', 'tfq8':
            graphs[OURS[target]] = path = self.path(target + '.pb')
            subprocess.run([self.tfq8, 'convert', self.graph, '-o', path, '--target', target, '--spm', self.spm, '-q',
                            '--calibrate', os.path.join(self.folder, 'calibration.en'),
                            *(w for f in FETCHES for w in ('--outputs', f))], check=True, stdout=subprocess.DEVNULL)
        return graphs

    def feeds(self, size, limit):
        """Files of batches, the longest sentences first, and the numbers of their sentences."""
        files, rows, order = [], [], list(range(min(limit, len(self.ids))))
        if size > 1:
            order.sort(key=lambda i: -len(self.ids[i]))
        for at in range(0, len(order), size):
            some = [self.ids[i] for i in order[at:at + size]]
            ids = np.zeros([len(some), max(map(len, some))], np.int32)
            for i, row in enumerate(some):
                ids[i, :len(row)] = row
            files.append(self.path(f'batch{size}-{len(files)}.npz'))
            np.savez(files[-1], source=ids)
            rows.extend(order[at:at + size])
        return files, rows

    def sentences(self, limit):
        """A file of the sentences as pieces."""
        path = self.path(f'sentences-{limit}.json')
        with open(path, 'w', encoding='utf-8') as f:
            json.dump([[self.pieces.id_to_piece(i) for i in row] for row in self.ids[:limit]], f)
        return path

    def most(self):
        """The length that CTranslate2 may reach: the graph's own limit is the source and some tokens more."""
        return max(map(len, self.ids)) + 20

    def scores(self, texts):
        """As tfq8 eval gives them; BLEU of single words is 0."""
        import sacrebleu
        answers = [self.answers[:len(texts)]]
        return {'bleu': sacrebleu.corpus_bleu(texts, answers).score, 'chrf': sacrebleu.corpus_chrf(texts, answers).score}

    def ours(self, name, graph, limit):
        """tfq8 eval, which takes BLEU as well."""
        return Command(name, [self.tfq8, 'eval', graph, '--spm', self.spm, '--source', self.source,
                              '--reference', self.reference, '--limit', str(limit), '--json', '-q'])


def tensorflow(data, limit, **s):
    files, rows = data.feeds(s['batch'], limit)
    w = engines.server('TensorFlow', 'tensorflow', data.graph, *files, '--fetch', 'translations', '--threads', s['threads'],
                       '--workers', CORES // s['threads'], env={'TF_ENABLE_ONEDNN_OPTS': str(s['oneDNN'])},
                       log=data.path('tensorflow.log'))
    w.rows = rows
    return w


def tensorflow_scores(data, worker):
    worker.save(data.path('tensorflow.json'))
    with open(data.path('tensorflow.json'), encoding='utf-8') as f:
        found = [row[0] for batch in json.load(f) for row in batch]
    texts = [''] * len(found)
    for i, ids in zip(worker.rows, found):
        ids = ids[1:ids.index(1)] if 1 in ids else ids[1:]
        texts[i] = data.pieces.decode([t for t in ids if t])
    return data.scores(texts)


def ctranslate2(data, kind, limit, **s):
    workers = CORES // s['threads'] if s['batch'] > 1 else 1
    return engines.server('CTranslate2 ' + kind, 'ctranslate2', data.path('ct2'), data.sentences(limit), '--type', kind,
                          '--threads', s['threads'], '--workers', workers, '--batch', s['batch'], '--most', data.most(),
                          env=engines.ct2_env(s), log=data.path('ctranslate2.log'))


def ctranslate2_scores(data, worker):
    worker.save(data.path('ctranslate2.json'))
    with open(data.path('ctranslate2.json'), encoding='utf-8') as f:
        return data.scores([data.pieces.decode(p) for p in json.load(f)])


def marks(scores, name):
    return [f'{scores[name][k]:.2f}' for k in ('bleu', 'chrf')]


def batched(data, graphs, a, limit, tf_limit):
    """All sentences, all cores."""
    threads = [1, CORES] if CORES > 1 else [1]
    sample = min(limit, 128)
    settings, peers = {}, []
    for kind in 'float32', 'int8':
        s = engines.best('CTranslate2', lambda **s: ctranslate2(data, kind, sample, **s),
                         {'threads': threads, 'batch': [32, 64], **engines.ct2_choices()}, a.quick)
        peers.append(ctranslate2(data, kind, limit, **s))
        settings[peers[-1].name] = engines.describe(s)
    ours = [data.ours(name, graph, limit) for name, graph in graphs.items()]
    results = engines.alternate(ours + peers, a.rounds)
    scores = {p.name: ctranslate2_scores(data, p) for p in peers} | {o.name: results[o.name][-1] for o in ours}
    for p in peers:
        p.close()
    engines.table(f'{limit} sentences, beam 4, {CORES} cores: seconds, and how many times as long as ours',
                  ['engine', 'settings', 's', 'peak MB', 'BLEU', 'chrF', *COLUMNS],
                  engines.rows_of(results, lambda name, got: [settings.get(name, ''), f'{engines.median(got):.3f}',
                                                              f'{engines.median(got, "peak") / 1e6:.0f}', *marks(scores, name)]))

    s = engines.best('TensorFlow', lambda **s: tensorflow(data, min(tf_limit, 64), **s),
                     {'oneDNN': [1, 0], 'threads': threads[::-1], 'batch': [32, 64]}, a.quick)
    worker = tensorflow(data, tf_limit, **s)
    ours = [data.ours(name, graphs[name], tf_limit) for name in graphs]
    results = engines.alternate([*ours, worker], a.rounds)
    scores = {'TensorFlow': tensorflow_scores(data, worker)} | {o.name: results[o.name][-1] for o in ours}
    worker.close()
    engines.table(f'{tf_limit} sentences, beam 4, {CORES} cores, beside TensorFlow FP32',
                  ['engine', 'settings', 's', 'BLEU', 'chrF', *COLUMNS],
                  engines.rows_of(results, lambda name, got: [engines.describe(s) if name == worker.name else '',
                                                              f'{engines.median(got):.3f}', *marks(scores, name)]))


def single(data, graphs, a, limit):
    """One sentence at a time; ours and, if that is faster, CTranslate2 on one core."""
    files, _ = data.feeds(1, limit)
    settings, peers = {}, []
    for kind in 'float32', 'int8':
        s = engines.best('CTranslate2', lambda **s: ctranslate2(data, kind, min(limit, 20), **s),
                         {'threads': [1, CORES] if CORES > 1 else [1], 'batch': [1], **engines.ct2_choices()}, a.quick)
        peers.append(ctranslate2(data, kind, limit, **s))
        settings[peers[-1].name] = engines.describe(s)
    ours = [Worker(name, [data.turns, '-fetch', 'translations', '-threads', '1', graph, *files])
            for name, graph in graphs.items()]
    results = engines.alternate(ours + peers, a.rounds)
    for e in ours + peers:
        e.close()
    settings |= {name: 'threads 1' for name in graphs}
    engines.table(f'One sentence at a time, the first {limit}: milliseconds a sentence, and how many times as long as ours',
                  ['engine', 'settings', 'median ms', 'mean ms', *COLUMNS],
                  engines.rows_of(results, lambda name, got: [settings[name], f'{engines.median(got, "median") * 1e3:.2f}',
                                                              f'{engines.median(got) / limit * 1e3:.2f}']))


def start(data, graphs, rounds):
    """From nothing to the first translation."""
    first, rows = data.lines[0] + '\n', []
    for name, graph in graphs.items():
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            subprocess.run([data.tfq8, 'translate', graph, '--spm', data.spm, '-q'], input=first, text=True, check=True,
                           stdout=subprocess.DEVNULL)
            times.append({'seconds': time.perf_counter() - began})
        rows.append([name, 'process', f'{engines.median(times) * 1e3:.0f}'])
    for kind in 'float32', 'int8':
        times = []
        for _ in range(min(rounds, 3)):
            w = ctranslate2(data, kind, 1, batch=1, threads=1, isa=None, mkl=None)
            times.append({'seconds': w.ready['load'] + w.ready['first']})
            w.close()
        rows.append(['CTranslate2 ' + kind, 'without Python and its imports', f'{engines.median(times) * 1e3:.0f}'])
    engines.table('Start: load, compile, first translation', ['engine', 'measured', 'ms'], rows)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.join(HERE, '..', '..')
    ap.add_argument('--bin', default=os.path.join(root, 'bin'))
    ap.add_argument('--data', default=os.environ.get('TFQ8_PEERS_DATA') or os.path.join(root, 'testdata', 'numbers'))
    ap.add_argument('--work', default=os.path.join(root, '.cache', 'peers-work'))
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--quick', action='store_true', help="take the engines' usual settings instead of looking for the best")
    ap.add_argument('--limit', type=int, help='sentences; all unless given')
    ap.add_argument('--tensorflow-limit', type=int, help='sentences of the rows beside TensorFlow, which is slow; all unless given')
    ap.add_argument('--heads', type=int, default=4)
    ap.add_argument('--layout', choices=ct2.LAYOUTS)
    ap.add_argument('--name', action='append', default=[], metavar='PART=NAME', help='as ct2.py takes it')
    a = ap.parse_args()
    data = Data(a)
    limit = len(data.lines)
    graphs = data.models()
    subprocess.run([sys.executable, os.path.join(HERE, 'ct2.py'), data.graph, data.path('ct2'), '--spm', data.spm,
                    '--heads', str(a.heads), *(['--layout', a.layout] if a.layout else []), *(w for n in a.name for w in ('--name', n))],
                   check=True, stderr=subprocess.DEVNULL)
    print(f'\n{os.path.basename(data.graph)}, {os.path.basename(data.source)}; {engines.machine()}; median of {a.rounds} turns')
    batched(data, graphs, a, limit, min(limit, a.tensorflow_limit or limit))
    single(data, graphs, a, min(limit, SINGLE))
    start(data, graphs, a.rounds)


if __name__ == '__main__':
    main()
