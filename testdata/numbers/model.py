"""A pre-norm encoder-decoder Transformer with beam search, as TensorFlow 1 users write it: reference variables read by
name, tf.compat.v1.while_loop, no functions.

Ids: 0 pads and starts the target, 1 ends a sentence. Shapes in comments: b batch, s source, t target, w beam width,
n tokens so far, h heads, k width of a head, d model width, v vocabulary.

Keys and values of the cross attention are computed once, before the loop, and enter it as invariants. Those of the
decoder's self attention are the loop's caches: they grow by ConcatV2 and follow their beams by GatherNd.
"""
import dataclasses

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1

PAD, EOS = 0, 1
MINUS = -1e9


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The hyperparameters of a model and of its search."""
    vocab: int = 256
    width: int = 64
    inner: int = 256
    heads: int = 4
    layers: int = 2
    beam: int = 4
    alpha: float = 0.6  # scores are log probability / ((5 + tokens) / 6) ** alpha
    extra: int = 10  # a translation has at most source length + extra tokens

    @property
    def head(self):
        return self.width // self.heads


# ---- layers ----------------------------------------------------------------------------------------------------------
def dense(x, units, name, activation=None):
    """x [.., in] of rank 2 or 3 -> [.., units], by a MatMul of rank 2 and BiasAdd."""
    with tf1.variable_scope(name):
        kernel = tf1.get_variable('kernel', [x.shape[-1], units], initializer=tf1.glorot_uniform_initializer())
        bias = tf1.get_variable('bias', [units], initializer=tf1.zeros_initializer())
        rows = tf.reshape(x, [-1, x.shape[-1]]) if x.shape.rank == 3 else x
        y = tf.nn.bias_add(tf.matmul(rows, kernel), bias)
        y = activation(y) if activation else y
        return tf.reshape(y, [tf.shape(x)[0], -1, units]) if x.shape.rank == 3 else y


def normalize(x, name='norm'):
    """Layer normalization over the last axis."""
    with tf1.variable_scope(name):
        gamma = tf1.get_variable('gamma', [x.shape[-1]], initializer=tf1.ones_initializer())
        beta = tf1.get_variable('beta', [x.shape[-1]], initializer=tf1.zeros_initializer())
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-6) * gamma + beta


def to_heads(x, c):
    """[b, n, d] -> [b, h, n, k]"""
    return tf.transpose(tf.reshape(x, [tf.shape(x)[0], -1, c.heads, c.head]), [0, 2, 1, 3])


def project_heads(x, c, names):
    """x [b, n, d] through one dense layer a name, each split into heads."""
    return [to_heads(dense(x, c.width, name), c) for name in names]


def mix(q, k, v, bias, c):
    """Scaled dot-product attention with its output layer; bias (or None) is added to the logits -> [b, n, d]"""
    logits = tf.matmul(q * c.head ** -0.5, k, transpose_b=True)
    weights = tf.nn.softmax(logits if bias is None else logits + bias)
    y = tf.transpose(tf.matmul(weights, v), [0, 2, 1, 3])
    return dense(tf.reshape(y, [tf.shape(y)[0], -1, c.width]), c.width, 'output')


def feed_forward(x, c):
    with tf1.variable_scope('ffn'):
        return x + dense(dense(normalize(x), c.inner, 'inner', tf.nn.relu), c.width, 'output')


def table(c):
    return tf1.get_variable('embedding', [c.vocab, c.width],
                            initializer=tf1.random_normal_initializer(stddev=c.width ** -0.5))


def embed(ids, position, c):
    """ids [b, n] -> [b, n, d]: scaled rows of the table plus position codes [n, d]; padding has no row."""
    with tf1.name_scope('embed'):
        real = tf.expand_dims(tf.cast(tf.not_equal(ids, PAD), tf.float32), -1)
        return tf.nn.embedding_lookup(table(c), ids) * c.width ** 0.5 * real + position


def position_codes(length, c):
    """Sine and cosine of the positions below `length` in geometric wave lengths, [length, d]."""
    with tf1.name_scope('position_codes'):
        wave = np.power(1e4, np.arange(0, c.width, 2) / -c.width).astype(np.float32)
        angle = tf.expand_dims(tf.cast(tf.range(length), tf.float32), 1) * wave
        return tf.concat([tf.sin(angle), tf.cos(angle)], 1)


def logits_of(x, c):
    """x [rows, d] -> [rows, v] by the embedding table."""
    return tf.matmul(x, table(c), transpose_b=True)


# ---- encoder and decoder ---------------------------------------------------------------------------------------------
def encode(source, c):
    """source [b, s] -> memory [b, s, d] and the bias [b, 1, 1, s] that hides its padding."""
    with tf1.variable_scope('encoder'):
        hidden = tf.cast(tf.equal(source, PAD), tf.float32) * MINUS
        hidden = tf.expand_dims(tf.expand_dims(hidden, 1), 1)
    x = embed(source, position_codes(tf.shape(source)[1], c), c)
    with tf1.variable_scope('encoder'):
        for layer in range(c.layers):
            with tf1.variable_scope(f'layer_{layer}'):
                with tf1.variable_scope('self'):
                    x += mix(*project_heads(normalize(x), c, ['query', 'key', 'value']), hidden, c)
                x = feed_forward(x, c)
        return normalize(x), hidden


def cross_pairs(memory, c):
    """Keys and values [b, h, s, k] of each decoder layer's cross attention."""
    pairs = []
    for layer in range(c.layers):
        with tf1.variable_scope(f'decoder/layer_{layer}/cross'):
            pairs.append(project_heads(memory, c, ['key', 'value']))
    return pairs


def decode(x, pairs, hidden, causal, caches, c):
    """The decoder over embedded tokens x [b, n, d] -> (its output [b, n, d], keys and values of each layer).

    caches holds the keys and values [b, h, before, k] of the tokens before x, or is None.
    """
    grown = []
    with tf1.variable_scope('decoder'):
        for layer in range(c.layers):
            with tf1.variable_scope(f'layer_{layer}'):
                with tf1.variable_scope('self'):
                    q, k, v = project_heads(normalize(x), c, ['query', 'key', 'value'])
                    if caches is not None:
                        k, v = tf.concat([caches[layer][0], k], 2), tf.concat([caches[layer][1], v], 2)
                    grown.append((k, v))
                    x += mix(q, k, v, causal, c)
                with tf1.variable_scope('cross'):
                    q, = project_heads(normalize(x), c, ['query'])
                    x += mix(q, *pairs[layer], hidden, c)
                x = feed_forward(x, c)
        return normalize(x), grown


# ---- what a graph offers ---------------------------------------------------------------------------------------------
def score(source, target, c):
    """Teacher-forced logits [b, t, v]: position i predicts target[:, i]."""
    memory, hidden = encode(source, c)
    before = tf.pad(target, [[0, 0], [1, 0]])[:, :-1]
    length = tf.shape(before)[1]
    causal = (1.0 - tf.linalg.band_part(tf.ones([length, length]), -1, 0)) * MINUS
    x, _ = decode(embed(before, position_codes(length, c), c), cross_pairs(memory, c), hidden, causal, None, c)
    y = logits_of(tf.reshape(x, [-1, c.width]), c)
    return tf.reshape(y, [tf.shape(target)[0], length, c.vocab])


def per_beam(x, c):
    """[b, ..] -> [b*w, ..], each row w times."""
    shape = tf.shape(x)
    tiled = tf.tile(tf.expand_dims(x, 1), [1, c.beam] + [1] * (x.shape.rank - 1))
    y = tf.reshape(tiled, tf.concat([[shape[0] * c.beam], shape[1:]], 0))
    y.set_shape([None] + x.shape.as_list()[1:])
    return y


def pick(x, index):
    """x [b, m, ..], index [b, j] -> [b, j, ..]: row index[i, j] of x[i], by gather_nd."""
    batch, count = tf.shape(index)[0], tf.shape(index)[1]
    row = tf.tile(tf.expand_dims(tf.range(batch), 1), [1, count])
    return tf.gather_nd(x, tf.stack([row, index], 2))


def translate(source, c):
    """Beam search -> translations [b, w, n] int32, best first, each 0, pieces, 1, then zeros; and scores [b, w].

    A beam that never ends (none of the b, w hypotheses of its sentence did) is returned as it stands.
    """
    memory, hidden = encode(source, c)
    pairs = [[per_beam(t, c) for t in pair] for pair in cross_pairs(memory, c)]
    hidden = per_beam(hidden, c)
    batch, limit = tf.shape(source)[0], tf.shape(source)[1] + c.extra
    codes = position_codes(limit, c)
    rows, size = batch * c.beam, [c.heads, -1, c.head]

    def penalty(tokens):
        return tf.pow((5.0 + tf.cast(tokens, tf.float32)) / 6.0, c.alpha)

    def unfinished(n, live, live_logp, over, over_score, *caches):
        """Whether some sentence's best live beam could still beat its worst finished hypothesis."""
        hope = live_logp[:, 0] / penalty(limit)
        return tf.logical_and(n < limit, tf.reduce_any(hope >= tf.reduce_min(over_score, 1)))

    def step(n, live, live_logp, over, over_score, *caches):
        last = tf.reshape(live[:, :, -1], [rows, 1])
        x = embed(last, codes[n], c)
        x, grown = decode(x, pairs, hidden, None, list(zip(caches[::2], caches[1::2])), c)
        logp = tf.nn.log_softmax(logits_of(tf.reshape(x, [-1, c.width]), c))
        total = tf.reshape(logp, [batch, c.beam, c.vocab]) + tf.expand_dims(live_logp, 2)
        best, flat = tf.nn.top_k(tf.reshape(total, [batch, c.beam * c.vocab]), 2 * c.beam)
        parent, token = flat // c.vocab, flat % c.vocab
        longer = tf.concat([pick(live, parent), tf.expand_dims(token, 2)], 2)
        ended = tf.cast(tf.equal(token, EOS), tf.float32)

        live_logp, chosen = tf.nn.top_k(best + ended * MINUS, c.beam)
        live, from_beam = pick(longer, chosen), pick(parent, chosen)
        moved = []
        for t in (t for pair in grown for t in pair):
            t = pick(tf.reshape(t, [batch, c.beam] + size), from_beam)
            moved.append(tf.reshape(t, [rows] + size))

        over = tf.concat([tf.pad(over, [[0, 0], [0, 0], [0, 1]]), longer], 1)
        over_score = tf.concat([over_score, best / penalty(n + 1) + (1.0 - ended) * MINUS], 1)
        over_score, chosen = tf.nn.top_k(over_score, c.beam)
        return [n + 1, live, live_logp, pick(over, chosen), over_score] + moved

    start = tf.zeros([batch, c.beam, 1], tf.int32)
    first = tf.tile(tf.constant([[0.0] + [MINUS] * (c.beam - 1)]), [batch, 1])
    none = tf.zeros([rows, c.heads, 0, c.head])
    shape = tf.TensorShape
    out = tf1.while_loop(
        unfinished, step,
        [tf.constant(0), start, first, start, tf.fill([batch, c.beam], MINUS)] + [none] * (2 * c.layers),
        [shape([]), shape([None, c.beam, None]), shape([None, c.beam]), shape([None, c.beam, None]),
         shape([None, c.beam])] + [shape([None, c.heads, None, c.head])] * (2 * c.layers),
        parallel_iterations=1, name='search')
    _, live, live_logp, over, over_score = out[:5]
    some = over_score[:, 0] > MINUS / 2
    return (tf.where(some[:, None, None], over, live), tf.where(some[:, None], over_score, live_logp / penalty(limit)))


def scope():
    """The variable scope that holds the weights, once for all uses of them: reference variables, as TF1 made them."""
    return tf1.variable_scope('transformer', use_resource=False, reuse=tf1.AUTO_REUSE)


def build(c):
    """The inference graph's nodes in the current graph: feeds source and target, fetches by their names."""
    tf1.disable_control_flow_v2()
    source = tf1.placeholder(tf.int32, [None, None], 'source')
    target = tf1.placeholder(tf.int32, [None, None], 'target')
    with scope():
        logits = score(source, target, c)
    with scope():
        translations, scores = translate(source, c)
    for name, tensor in (('translations', translations), ('scores', scores), ('logits', logits)):
        tf.identity(tensor, name)
