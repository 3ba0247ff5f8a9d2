"""Runs one of the other engines for engines.py: prints a line of JSON when ready, and one for each line of input.

  serve.py tensorflow GRAPH.pb --fetch NAME [--threads N] [--workers N] FEEDS.npz...
  serve.py onnxruntime MODEL.onnx [--threads N] FEEDS.npz...
  serve.py openvino MODEL.onnx [--threads N] FEEDS.npz...
  serve.py ctranslate2 FOLDER --type float32|int8 [--workers N] [--threads N] [--batch N] [--beam N] [--penalty X]
           [--least N] [--most N] SENTENCES.json

"run" does the work and answers {"seconds": .., "median": of the feeds or sentences if they run one by one, "peak":
bytes of memory since before the model was loaded}; "save FILE" writes the last results: arrays as .npy of the first
feed's, translations as JSON, lists of pieces or ids in the order of the input.
"""
import argparse
import concurrent.futures
import json
import os
import statistics
import sys
import time

import numpy as np


def memory(field):
    """VmRSS (now) or VmHWM (most so far) of this process in bytes; 0 where that is not known."""
    try:
        with open('/proc/self/status', encoding='utf-8') as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith(field))
    except OSError:
        return 0


def one_by_one(call, feeds, workers=1):
    """A function that runs all feeds -> (the results, the seconds of each, or of all if several workers share them)."""
    pool = concurrent.futures.ThreadPoolExecutor(workers) if workers > 1 else None

    def work():
        if pool:
            start = time.perf_counter()
            results = list(pool.map(call, feeds))
            return results, [time.perf_counter() - start]
        results, seconds = [], []
        for feed in feeds:
            start = time.perf_counter()
            results.append(call(feed))
            seconds.append(time.perf_counter() - start)
        return results, seconds
    return work


def load_feeds(paths):
    feeds = []
    for path in paths:
        with np.load(path) as f:
            feeds.append(dict(f))
    return feeds


# Each function imports its engine and returns a function that loads the model and returns the work.

def tensorflow(a):
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    import tensorflow as tf
    tf1 = tf.compat.v1

    def load():
        graph_def = tf1.GraphDef()
        with open(a.model, 'rb') as f:
            graph_def.ParseFromString(f.read())
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(graph_def, name='')
        session = tf1.Session(graph=graph, config=tf1.ConfigProto(intra_op_parallelism_threads=a.threads,
                                                                  inter_op_parallelism_threads=a.workers))
        feeds = load_feeds(a.inputs)
        names = list(feeds[0])
        call = session.make_callable(graph.get_tensor_by_name(a.fetch + ':0'),
                                     [graph.get_tensor_by_name(n + ':0') for n in names])
        return one_by_one(lambda feed: call(*(feed[n] for n in names)), feeds, a.workers)
    return load


def onnxruntime(a):
    import onnxruntime as ort

    def load():
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = a.threads, 1, 3
        session = ort.InferenceSession(a.model, options, providers=['CPUExecutionProvider'])
        return one_by_one(lambda feed: session.run(None, feed)[0], load_feeds(a.inputs))
    return load


def openvino(a):
    import openvino as ov

    def load():
        # On CPUs with bfloat16 OpenVINO would take that for its FP32 without being told otherwise.
        model = ov.Core().compile_model(a.model, 'CPU', {
            'INFERENCE_NUM_THREADS': a.threads, 'NUM_STREAMS': 1, 'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_PRECISION_HINT': 'f32'})
        request = model.create_infer_request()
        return one_by_one(lambda feed: request.infer(feed)[0], load_feeds(a.inputs))
    return load


def ctranslate2(a):
    import ctranslate2 as ct
    with open(a.inputs[0], encoding='utf-8') as f:
        sentences = json.load(f)

    def load():
        translator = ct.Translator(a.model, 'cpu', compute_type=a.type, inter_threads=a.workers, intra_threads=a.threads)
        options = dict(beam_size=a.beam, length_penalty=a.penalty, max_batch_size=a.batch, min_decoding_length=a.least,
                       max_decoding_length=a.most)
        if a.batch == 1 and a.workers == 1:
            call = lambda sentence: translator.translate_batch([sentence], **options)[0].hypotheses[0]
            return one_by_one(call, sentences)

        def work():
            start = time.perf_counter()
            results = translator.translate_batch(sentences, **options)
            seconds = time.perf_counter() - start
            return [r.hypotheses[0] for r in results], [seconds]
        return work
    return load


def save(path, results):
    if path.endswith('.npy'):
        np.save(path, results[0])
    else:
        with open(path, 'w', encoding='utf-8') as f:
            json.dump([r.tolist() if isinstance(r, np.ndarray) else r for r in results], f)


def main():
    engines = {f.__name__: f for f in (tensorflow, onnxruntime, openvino, ctranslate2)}
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('engine', choices=engines)
    ap.add_argument('model')
    ap.add_argument('inputs', nargs='+')
    ap.add_argument('--fetch')
    ap.add_argument('--type', default='float32')
    ap.add_argument('--penalty', type=float, default=0.6)
    for name, value in ('threads', 1), ('workers', 1), ('batch', 32), ('beam', 4), ('least', 1), ('most', 256):
        ap.add_argument('--' + name, type=int, default=value)
    a = ap.parse_args()
    answer = lambda value: print(json.dumps(value), flush=True)

    load = engines[a.engine](a)
    before, start = memory('VmRSS'), time.perf_counter()
    work = load()
    loaded = time.perf_counter() - start
    results, seconds = work()
    answer({'load': loaded, 'first': seconds[0]})
    for line in sys.stdin:
        if line.startswith('save '):
            save(line[5:].strip(), results)
            answer({})
            continue
        results, seconds = work()
        answer({'seconds': sum(seconds), 'median': statistics.median(seconds), 'peak': memory('VmHWM') - before})


if __name__ == '__main__':
    main()
