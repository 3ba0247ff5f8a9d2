"""Writes the Transformer of a frozen graph in CTranslate2's format.

  ct2.py GRAPH.pb OUT [--spm SPM.model] [--heads 4] [--layout NAME] [--name PART=NAME ...]

The graph is a pre-norm encoder-decoder with tied embeddings whose constants are found by name, below any prefix:
{encoder,decoder}/layer_N/{self,cross,ffn}/PART/{kernel,bias}. A layout says what the parts are called and how positions
are coded; the first whose names the graph has is taken. --name changes single ones. Without --spm the pieces are called
by their numbers: 0 pads and starts, 1 ends, 2 is unknown.
"""
import argparse
import os

import numpy as np

LAYOUTS = {
    # testdata/numbers/model.py
    'numbers': {'query': 'query', 'key': 'key', 'value': 'value', 'output': 'output', 'inner': 'inner', 'outer': 'output',
                'norm': 'norm', 'gamma': 'gamma', 'beta': 'beta', 'wave': 'width'},
    # TensorFlow's official Transformer for TF1
    'official': {'query': 'q', 'key': 'k', 'value': 'v', 'output': 'o', 'inner': 'filter', 'outer': 'output',
                 'norm': 'layer_norm', 'gamma': 'scale', 'beta': 'bias', 'wave': 'ends'},
}


def constants(path):
    """The float constants of rank 1 and 2 of a frozen graph by name, without the prefix of the embedding's name."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL='3', TF_ENABLE_ONEDNN_OPTS='0')  # fewer messages
    import tensorflow as tf
    graph_def = tf.compat.v1.GraphDef()
    with open(path, 'rb') as f:
        graph_def.ParseFromString(f.read())
    nodes = [n for n in graph_def.node if n.op == 'Const' and n.attr['dtype'].type == tf.float32.as_datatype_enum]
    prefix = next((n.name.removesuffix('embedding') for n in nodes if n.name.split('/')[-1] == 'embedding'), None)
    if prefix is None:
        raise SystemExit(f'ct2: {path} has no constant named embedding')
    values = {n.name.removeprefix(prefix): tf.make_ndarray(n.attr['value'].tensor) for n in nodes if n.name.startswith(prefix)}
    return {name: v for name, v in values.items() if v.ndim in (1, 2)}


def position_codes(kind, length, width):
    """Sines, then cosines: wave lengths go up to 10,000 at `width`, or at the last of them (`ends`)."""
    half = width // 2
    exponent = np.arange(half) / (half if kind == 'width' else half - 1)
    angle = np.arange(length)[:, None] * 1e4 ** -exponent
    return np.concatenate([np.sin(angle), np.cos(angle)], 1).astype(np.float32)


class Filler:
    """Fills a CTranslate2 specification with weights found by the names of a layout."""

    def __init__(self, weights, names):
        self.weights, self.names = weights, names

    def dense(self, spec, at, *parts):
        """Several parts that read the same input are one layer of their columns side by side."""
        paths = [f'{at}/{self.names[p]}' for p in parts]
        spec.weight = np.concatenate([self.weights[p + '/kernel'].T for p in paths])
        spec.bias = np.concatenate([self.weights[p + '/bias'] for p in paths])

    def norm(self, spec, at):
        at = f'{at}/{self.names["norm"]}'
        spec.gamma, spec.beta = (self.weights[f'{at}/{self.names[p]}'] for p in ('gamma', 'beta'))

    def layer(self, spec, at):
        self.norm(spec.self_attention.layer_norm, at + '/self')
        self.dense(spec.self_attention.linear[0], at + '/self', 'query', 'key', 'value')
        self.dense(spec.self_attention.linear[1], at + '/self', 'output')
        if f'{at}/cross/{self.names["query"]}/kernel' in self.weights:
            self.norm(spec.attention.layer_norm, at + '/cross')
            self.dense(spec.attention.linear[0], at + '/cross', 'query')
            self.dense(spec.attention.linear[1], at + '/cross', 'key', 'value')
            self.dense(spec.attention.linear[2], at + '/cross', 'output')
        self.norm(spec.ffn.layer_norm, at + '/ffn')
        self.dense(spec.ffn.linear_0, at + '/ffn', 'inner')
        self.dense(spec.ffn.linear_1, at + '/ffn', 'outer')


def convert(path, out, pieces=None, heads=4, layout=None, names=()):
    """Writes the model to the folder out."""
    from ctranslate2 import specs
    weights = constants(path)
    found = lambda l: f'encoder/layer_0/self/{l["query"]}/kernel' in weights
    chosen = dict(LAYOUTS[layout] if layout else next((l for l in LAYOUTS.values() if found(l)), LAYOUTS['numbers']))
    chosen.update(names)
    if not found(chosen):
        raise SystemExit(f'ct2: {path} has no encoder/layer_0/self/{chosen["query"]}/kernel; name the layout or its parts')
    layers = sum(name.startswith('encoder/') and name.endswith(f'/ffn/{chosen["inner"]}/kernel') for name in weights)
    embedding = weights['embedding']
    vocabulary, width = embedding.shape
    spec, fill = specs.TransformerSpec.from_config(layers, heads, pre_norm=True), Filler(weights, chosen)
    rows = embedding.copy()
    rows[0] = 0  # padding, which is also the start, has no row in this family of models
    for side, part in ('encoder', spec.encoder), ('decoder', spec.decoder):
        for i, layer in enumerate(part.layer):
            fill.layer(layer, f'{side}/layer_{i}')
        fill.norm(part.layer_norm, side)
        part.position_encodings.encodings = position_codes(chosen['wave'], 512, width)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = rows
    spec.decoder.projection.weight, spec.decoder.projection.bias = embedding, np.zeros(vocabulary, np.float32)
    pieces = pieces or [str(i) for i in range(vocabulary)]
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(pieces)
    spec.config.add_source_bos = spec.config.add_source_eos = False
    spec.config.bos_token = spec.config.decoder_start_token = pieces[0]
    spec.config.eos_token, spec.config.unk_token = pieces[1], pieces[2]
    spec.config.layer_norm_epsilon = 1e-6
    spec.validate()
    spec.optimize(quantization=None)
    os.makedirs(out, exist_ok=True)
    spec.save(out)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('graph')
    ap.add_argument('out')
    ap.add_argument('--spm')
    ap.add_argument('--heads', type=int, default=4)
    ap.add_argument('--layout', choices=LAYOUTS)
    ap.add_argument('--name', action='append', default=[], metavar='PART=NAME')
    a = ap.parse_args()
    pieces = None
    if a.spm:
        import sentencepiece
        sp = sentencepiece.SentencePieceProcessor(model_file=a.spm)
        pieces = [sp.id_to_piece(i) for i in range(sp.get_piece_size())]
    convert(a.graph, a.out, pieces, a.heads, a.layout, dict(n.split('=', 1) for n in a.name))


if __name__ == '__main__':
    main()
