"""Makes everything in this folder but the scripts: data, SentencePiece model, trained and frozen graph, answers.

  python train.py [-o DIR] [--steps 3000] [--only data,train,record]

  data    spm.model, calibration.{en,de}, test.{en,de}
  train   numbers.pb: trains on one thread, then freezes with TensorFlow's v1 freezer (about ten minutes)
  record  tf_test.de and case_*.pb: TensorFlow's answers of the frozen graph; prints the accuracy as JSON

Seeds are fixed and oneDNN is off: the same machine gives the same bytes. Another CPU may round differently, so its
weights will differ, and with them the recorded answers; run all three stages then.
"""
import argparse
import io
import itertools
import json
import os
import random
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ['TF_ENABLE_ONEDNN_OPTS'] = '0'
import numpy as np
import sentencepiece
import tensorflow as tf

import model
import words

tf1 = tf.compat.v1
tf.get_logger().setLevel('ERROR')  # TF1 names are deprecated; that is why they are used
FETCHES = ['translations', 'scores', 'logits']
SIZES = model.Sizes()
TEST_SEED, CALIBRATION_SEED, PIECES_SEED, TRAIN_SEED = 11, 12, 13, 14
TEST, CALIBRATION, PIECES = 500, 300, 20000  # lines each


def one_thread():
    return tf1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)


def read_lines(path):
    with open(path, encoding='utf-8') as f:
        return f.read().split('\n')[:-1]


def write_lines(path, lines):
    with open(path, 'w', encoding='utf-8') as f:
        f.writelines(line + '\n' for line in lines)


def pad(rows):
    """Lists of ids -> int32 [rows, longest], padded with 0."""
    out = np.zeros([len(rows), max(map(len, rows))], np.int32)
    for i, row in enumerate(rows):
        out[i, :len(row)] = row
    return out


# ---- data ------------------------------------------------------------------------------------------------------------
def make_data(at):
    test = words.held_out(TEST_SEED, TEST)
    draw = lambda seed, count: list(itertools.islice(words.training(seed, set(test)), count))
    for name, numbers in (('test', test), ('calibration', draw(CALIBRATION_SEED, CALIBRATION))):
        write_lines(at(name + '.en'), map(words.english, numbers))
        write_lines(at(name + '.de'), map(words.german, numbers))
    text = [f(n) for n in draw(PIECES_SEED, PIECES) for f in (words.english, words.german)]
    file = io.BytesIO()
    # "identity" leaves out a normalizer map of 240 kB that these words do not need
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_writer=file, vocab_size=SIZES.vocab, model_type='bpe',
        normalization_rule_name='identity', character_coverage=1.0, pad_id=model.PAD, eos_id=model.EOS, unk_id=2, bos_id=-1,
        num_threads=1, minloglevel=2)
    with open(at('spm.model'), 'wb') as f:
        f.write(file.getvalue())


def pieces(at):
    return sentencepiece.SentencePieceProcessor(model_file=at('spm.model'))


# ---- training --------------------------------------------------------------------------------------------------------
def learning_rate(step, steps, peak=2.5e-3, warmup=200):
    """Linear up, then half a cosine down to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + np.cos(np.pi * (step - warmup) / (steps - warmup)))


def train(at, steps, size=128, smoothing=0.05):
    """Trains on `steps` batches of `size` fresh numbers and writes numbers.pb."""
    sp, graph = pieces(at), tf.Graph()
    encode = lambda texts: pad([sp.encode(t) + [model.EOS] for t in texts])
    barred = {english: None for english in read_lines(at('test.en'))}
    numbers = words.training(TRAIN_SEED, set(words.held_out(TEST_SEED, TEST)))
    with graph.as_default():
        tf1.set_random_seed(TRAIN_SEED)
        source, target = (tf1.placeholder(tf.int32, [None, None]) for _ in range(2))
        rate = tf1.placeholder(tf.float32, [])
        with model.scope():
            logits = model.score(source, target, SIZES)
        real = tf.cast(tf.not_equal(target, model.PAD), tf.float32)
        wanted = tf.one_hot(target, SIZES.vocab) * (1 - smoothing) + smoothing / SIZES.vocab
        each = tf.nn.softmax_cross_entropy_with_logits(labels=wanted, logits=logits)
        loss = tf.reduce_sum(each * real) / tf.reduce_sum(real)
        weights = tf1.trainable_variables()
        gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, weights), 1.0)
        update = tf1.train.AdamOptimizer(rate, beta2=0.98).apply_gradients(zip(gradients, weights))
        with tf1.Session(config=one_thread()) as session:
            session.run(tf1.global_variables_initializer())
            began, recent = time.process_time(), []
            for step in range(steps):
                batch = list(itertools.islice(numbers, size))
                english = [words.english(n) for n in batch]
                assert not any(e in barred for e in english)
                feed = {source: encode(english), target: encode(map(words.german, batch)),
                        rate: learning_rate(step, steps)}
                recent.append(session.run([loss, update], feed)[0])
                if (step + 1) % 100 == 0:
                    print(f'step {step + 1} loss {np.mean(recent):.4f} cpu {time.process_time() - began:.0f} s', flush=True)
                    recent = []
            saved = dict(zip((v.op.name for v in weights), session.run(weights)))
    with open(at('numbers.pb'), 'wb') as f:
        f.write(freeze(saved).SerializeToString(deterministic=True))


def freeze(saved):
    """The inference graph with these weights as constants, by variable name."""
    graph = tf.Graph()
    with graph.as_default():
        model.build(SIZES)
        with tf1.Session(config=one_thread()) as session:
            for variable in tf1.global_variables():
                variable.load(saved[variable.op.name], session)
            return tf1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), FETCHES)


# ---- recorded answers ------------------------------------------------------------------------------------------------
def best(hypothesis):
    """The ids of one hypothesis [n] without its start, cut at the end of sentence."""
    ids = [int(i) for i in hypothesis[1:]]
    return ids[:ids.index(model.EOS)] if model.EOS in ids else [i for i in ids if i != model.PAD]


def answers(graph_def, feeds):
    """Runs each of the feeds [(source, target)] -> one (translations, scores, logits) a feed."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name='')
        with tf1.Session(config=one_thread()) as session:
            return [session.run([f + ':0' for f in FETCHES], {'source:0': s, 'target:0': t}) for s, t in feeds]


def disturbed(graph_def, seed, amount=3e-6):
    """A copy of the graph with every weight changed by a relative `amount`, up or down at random."""
    rng, out = np.random.RandomState(seed), tf1.GraphDef()
    out.CopyFrom(graph_def)
    for node in out.node:
        if node.op == 'Const' and node.name.startswith('transformer/') and node.attr['dtype'].type == tf.float32.as_datatype_enum:
            w = tf.make_ndarray(node.attr['value'].tensor)
            if w.ndim:
                w = w * (1 + amount * rng.choice([-1, 1], w.shape))
                node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(w.astype(np.float32)))
    return out


def add_const(case, node_name, value, **attributes):
    """A Const node of a case file; attributes are written with a leading underscore."""
    node = case.node.add(op='Const', name=node_name)
    node.attr['dtype'].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
    for key, v in attributes.items():
        field = {bool: 'b', float: 'f', bytes: 's'}[type(v)]
        setattr(node.attr['_' + key], field, v)


def record(at):
    sp, graph_def = pieces(at), tf1.GraphDef()
    with open(at('numbers.pb'), 'rb') as f:
        graph_def.ParseFromString(f.read())
    source, target = ([sp.encode(t) + [model.EOS] for t in read_lines(at('test.' + language))] for language in ('en', 'de'))
    order = sorted(range(len(source)), key=lambda i: -len(source[i]))
    groups = [order[k:k + 32] for k in range(0, len(order), 32)]
    found = [None] * len(source)
    feeds = [(pad([source[i] for i in g]), pad([target[i] for i in g])) for g in groups]
    for group, (translations, _, _) in zip(groups, answers(graph_def, feeds)):
        for i, beams in zip(group, translations):
            found[i] = best(beams[0])
    write_lines(at('tf_test.de'), map(sp.decode, found))
    right = sum(a == b for a, b in zip(read_lines(at('tf_test.de')), read_lines(at('test.de'))))

    cases = {'single': [0], 'pair': [1, 2], 'mixed': order[::-83][:6]}
    feeds = [(pad([source[i] for i in g]), pad([target[i] for i in g])) for g in cases.values()]
    expected, steady = answers(graph_def, feeds), True
    for seed in range(3):
        again = answers(disturbed(graph_def, seed), feeds)
        steady &= all(np.array_equal(a[0], b[0]) for a, b in zip(expected, again))
    for name, (s, t), (translations, scores, logits) in zip(cases, feeds, expected):
        case = tf1.GraphDef()
        add_const(case, 'feed/0', s, name=b'source')
        add_const(case, 'feed/1', t, name=b'target')
        add_const(case, 'expect/0', translations, of=b'translations', exact=True)
        add_const(case, 'expect/1', scores, of=b'scores', rtol=1e-4, atol=1e-4)
        add_const(case, 'expect/2', logits, of=b'logits', rtol=1e-3, atol=2e-4)
        with open(at(f'case_{name}.pb'), 'wb') as f:
            f.write(case.SerializeToString(deterministic=True))
    print(json.dumps({'lines': len(source), 'right': right, 'accuracy': right / len(source), 'nodes': len(graph_def.node),
                      'answers_steady_when_weights_are_disturbed': bool(steady)}))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('-o', '--out', default=os.path.dirname(os.path.abspath(__file__)))
    p.add_argument('--steps', type=int, default=3000)
    p.add_argument('--only', default='data,train,record')
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    at, stages = lambda name: os.path.join(a.out, name), a.only.split(',')
    random.seed(0), np.random.seed(0)
    if 'data' in stages:
        make_data(at)
    if 'train' in stages:
        train(at, a.steps)
    if 'record' in stages:
        record(at)


if __name__ == '__main__':
    main()
