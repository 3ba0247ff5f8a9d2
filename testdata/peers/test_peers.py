"""Tests of turns and settings, with engines that only pretend, and of what ct2.py takes from a graph."""
import os
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ct2
import engines

ECHO = '''
import sys
print('a library says hello')
print('{"load": 1}', flush=True)
for n, line in enumerate(sys.stdin):
    print('{"seconds": %d, "line": "%s"}' % (n + 1, line.strip()), flush=True)
'''


class Fake:
    def __init__(self, name, seconds):
        self.name, self.seconds, self.turns = name, seconds, 0

    def turn(self):
        self.turns += 1
        return {'seconds': self.seconds * self.turns}

    def close(self):
        pass


class Turns(unittest.TestCase):
    def test_worker_answers_each_line(self):
        w = engines.Worker('echo', [sys.executable, '-c', ECHO])
        self.assertEqual(w.ready, {'load': 1})
        self.assertEqual(w.turn(), {'seconds': 1, 'line': 'run'})
        self.assertEqual(w.save('x.npy')['line'], 'save x.npy')
        w.close()
        self.assertEqual(w.process.returncode, 0)

    def test_worker_that_ends_says_why(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(engines.Failed, 'broken: .*no such model'):
                engines.Worker('broken', [sys.executable, '-c', 'raise SystemExit("no such model")'], log=folder + '/log')

    def test_command(self):
        c = engines.Command('ours', [sys.executable, '-c', 'print(\'{"seconds": 2}\')'])
        got = c.turn()
        self.assertEqual(got['seconds'], 2)
        self.assertGreater(got['peak'], 1e6)
        with self.assertRaises(engines.Failed):
            engines.Command('ours', [sys.executable, '-c', 'raise SystemExit(3)']).turn()

    def test_alternate(self):
        a, b = Fake('a', 1), Fake('b', 3)
        got = engines.alternate([a, b], 3)
        self.assertEqual([r['seconds'] for r in got['a']], [1, 2, 3])
        self.assertEqual(engines.median(got['b']), 6)
        self.assertEqual(engines.ratio(got['a'], got['b']), 3)


class Best(unittest.TestCase):
    choices = {'threads': [1, 2], 'isa': [None, 'A', 'B']}

    def test_takes_the_fastest(self):
        cost = lambda threads, isa: (2 if threads == 1 else 1) + {None: 0, 'A': -0.5, 'B': 9}[isa]
        start = lambda **s: Fake('x', cost(**s))
        self.assertEqual(engines.best('x', start, self.choices), {'threads': 2, 'isa': 'A'})
        self.assertEqual(engines.best('x', start, self.choices, quick=True), {'threads': 1, 'isa': None})

    def test_passes_over_what_fails(self):
        def start(threads, isa):
            if isa == 'A':
                raise engines.Failed('no such CPU')
            return Fake('x', 1)
        with open(os.devnull, 'w') as sys.stderr:
            self.assertEqual(engines.best('x', start, self.choices)['isa'], None)
        sys.stderr = sys.__stderr__

    def test_describe(self):
        self.assertEqual(engines.describe({'threads': 2, 'isa': None, 'batch': 32}), 'threads 2, batch 32')


class Weights(unittest.TestCase):
    def test_embedded_model(self):
        weights = ct2.constants(os.path.join(engines.HERE, '..', 'numbers', 'numbers.pb'))
        self.assertEqual(weights['embedding'].shape, (256, 64))
        self.assertEqual(weights['decoder/layer_1/cross/query/kernel'].shape, (64, 64))

    def test_position_codes(self):
        codes = ct2.position_codes('width', 3, 4)
        np.testing.assert_allclose(codes[2], [np.sin(2), np.sin(0.02), np.cos(2), np.cos(0.02)], rtol=1e-6)
        np.testing.assert_allclose(ct2.position_codes('ends', 3, 4)[1, 1], np.sin(1e-4), rtol=1e-6)


if __name__ == '__main__':
    unittest.main()
