"""What tfq8 writes of a model, in stock TensorFlow: graphs and SavedModels of `freeze`, SavedModels of `convert`.

The recorded cases of the model say what must come out of FP32. Of INT8, TensorFlow's answers become cases for tfq8.
"""
import os
import subprocess

import numpy as np
import tensorflow as tf

import tfgraph

tf1 = tf.compat.v1

# INT8 answers of TensorFlow and tfq8 may differ by this share of the largest: a value between two codes can get either.
INT8_SHARE = 0.01


def text(node, name):
    """A string attribute of a node, '' if it has none."""
    return node.attr[name].s.decode() if name in node.attr else ''


class Case:
    """A file of recorded answers: feeds (node, value) and expectations (node, value) in order."""

    def __init__(self, path):
        self.path = path
        constants = [(n, tf.make_ndarray(n.attr['value'].tensor)) for n in tfgraph.load(path).node if n.op == 'Const']
        self.feeds = [(n, v) for n, v in constants if n.name.startswith('feed/')]
        self.expect = [(n, v) for n, v in constants if n.name.startswith('expect/')]
        self.signature = next((text(n, '_signature') for n, _ in self.feeds + self.expect if text(n, '_signature')), '')


def names(node, key):
    """The names that a feed (key _name) or expectation (_of) may have in a model."""
    return [n for n in (text(node, key), text(node, '_tensor')) if n]


def difference(got, node, want):
    """Why a tensor is not what a case expects; '' if it is."""
    got = tfgraph.plain(got)
    if want.dtype == object:
        return '' if got.shape == want.shape and got.tolist() == want.tolist() else 'other strings'
    want = tfgraph.plain(want)
    if got.dtype != want.dtype or got.shape != want.shape:
        return f'{got.dtype} {list(got.shape)}, want {want.dtype} {list(want.shape)}'
    if node.attr['_exact'].b or want.dtype.kind not in 'fc':
        return '' if np.array_equal(got, want) else f'{np.count_nonzero(got != want)} of {want.size} elements are others'
    close = np.isclose(got, want, rtol=node.attr['_rtol'].f, atol=node.attr['_atol'].f, equal_nan=True)
    return '' if close.all() else f'{np.count_nonzero(~close)} of {want.size} elements are off'


class Frozen:
    """A graph file that was made of a graph, whose names it has, or of a SavedModel: nodes are called as its keys then."""

    def __init__(self, path, of_graph):
        self.graph, self.of_graph = tfgraph.load(path), of_graph
        self.nodes = {n.name: n.op for n in self.graph.node}

    def name(self, options):
        return next((tfgraph.tensor_name(n) for n in (options[::-1] if self.of_graph else options)
                     if tfgraph.split_input(n)[0] in self.nodes), None)

    def run(self, case):
        feeds = {self.name(names(n, '_name')): v for n, v in case.feeds if self.name(names(n, '_name'))}
        fetches = [self.name(names(n, '_of')) for n, _ in case.expect]
        with tfgraph.session(self.graph, fuse=False) as s:
            # A key may name an input and an output: the input has the name.
            found = s.run({f: f for f in fetches if f not in feeds}, feeds)
        return [found.get(f) for f in fetches]


def graph_nodes(graph):
    """The names of a tf.Graph's nodes."""
    return {o.name for o in graph.get_operations()}


class Saved:
    """A SavedModel, by the loader of TensorFlow 1 or 2."""

    def __init__(self, path, version):
        self.path, self.version = path, version

    def keys(self, signature, case):
        """The signature's keys of the feeds and expectations of a case; None where it lacks an expectation."""
        def key(infos, options):
            return next((k for k, i in infos.items() if k in options or i.name in map(tfgraph.tensor_name, options)), None)
        feeds = [key(signature.inputs, names(n, '_name')) for n, _ in case.feeds]
        expect = [key(signature.outputs, names(n, '_of')) for n, _ in case.expect]
        return None if None in expect else (feeds, expect)

    def run(self, case):
        with tf.Graph().as_default() as graph, tf1.Session(graph=graph, config=tfgraph.config(fuse=False)) as s:
            meta = tf1.saved_model.loader.load(s, ['serve'], self.path)
            name, signature, (feeds, expect) = next((k, v, self.keys(v, case)) for k, v in meta.signature_def.items() if self.keys(v, case))
            if self.version == 1:
                by_name = [signature.inputs[k].name if k else tfgraph.tensor_name(names(n, '_name')[-1]) for k, (n, _) in zip(feeds, case.feeds)]
                by_name = {t: v for t, (_, v) in zip(by_name, case.feeds) if tfgraph.split_input(t)[0] in graph_nodes(graph)}
                return s.run([signature.outputs[k].name for k in expect], by_name)
        if None in feeds:
            return [None] * len(expect)  # an input with a default, which signatures do not have
        call = tf.saved_model.load(self.path).signatures[name]
        out = call(**{k: tf.constant(v, tf.as_dtype(signature.inputs[k].dtype)) for k, (_, v) in zip(feeds, case.feeds) if k})
        return [out[k].numpy() for k in expect]


def record(case, answers, path):
    """Writes a case whose expectations are TensorFlow's float answers; how many there are."""
    graph = tf1.GraphDef()
    for node, _ in case.feeds:
        graph.node.add().CopyFrom(node)
    count = 0
    for (node, _), got in zip(case.expect, answers):
        if got is not None and got.dtype.kind == 'f' and got.size:
            n = graph.node.add()
            n.CopyFrom(node)
            n.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(got))
            n.attr['_exact'].b, n.attr['_rtol'].f = False, 0
            n.attr['_atol'].f = INT8_SHARE * float(np.abs(np.where(np.isfinite(got), got, 0)).max())
            count += 1
    with open(path, 'wb') as f:
        f.write(graph.SerializeToString(deterministic=True))
    return count


def check(tfq8, work, model, paths, reduce_range):
    """Compares all forms of one model; yields (form, case, why it differs or '')."""
    tf.config.optimizer.set_experimental_options({'remapping': False})  # as in tfgraph.config, for functions
    cases = [Case(p) for p in paths]
    is_graph = os.path.isfile(model)
    fixed = []
    if is_graph:
        for output in dict.fromkeys(names(node, '_of')[-1] for case in cases for node, _ in case.expect):
            fixed += ['--outputs', output]
    elif cases[0].signature:
        fixed += ['--signature', cases[0].signature]

    def call(*args):
        done = subprocess.run([tfq8, *args], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f'tfq8 {" ".join(args)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}{done.stdout.strip()[-200:]}')

    frozen, saved, int8 = (os.path.join(work, n) for n in ('frozen.pb', 'frozen', 'int8'))
    call('freeze', model, '-o', frozen, *fixed)
    call('freeze', model, '-o', saved, *fixed)
    for form, m in (('frozen graph', Frozen(frozen, is_graph)), ('frozen SavedModel, TF1', Saved(saved, 1)), ('frozen SavedModel, TF2', Saved(saved, 2))):
        for case in cases:
            off = ((names(n, '_of')[0], difference(got, n, want)) for (n, want), got in zip(case.expect, m.run(case)) if got is not None)
            yield form, case.path, '; '.join(f'{name}: {why}' for name, why in off if why)
    if any(v.dtype == object for _, v in cases[0].feeds):
        return  # strings cannot be calibrated with
    feeds = []
    for i, case in enumerate(cases):
        feeds += ['--calibrate', os.path.join(work, f'feeds-{i}.npz')]
        np.savez(feeds[-1], **{names(n, '_name')[-1 if is_graph else 0]: v for n, v in case.feeds})
    call('convert', model, '-o', int8, *fixed, *feeds, *(['--reduce-range'] if reduce_range else []))
    for version in (1, 2):
        for i, case in enumerate(cases):
            path = os.path.join(work, f'int8-{version}-{i}.pb')
            why = ''
            if record(case, Saved(int8, version).run(case), path):
                done = subprocess.run([tfq8, 'check', int8, path], capture_output=True, text=True, check=False)
                why = done.stdout.strip() + done.stderr.strip() if done.returncode else ''
            yield f'INT8 SavedModel, TF{version}', case.path, why
