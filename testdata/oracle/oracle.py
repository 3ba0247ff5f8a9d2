"""Runs frozen graphs in real TensorFlow, to compare this project's answers with.

  oracle.py run GRAPH [--feeds FEEDS.npz] --fetch NAME... -o OUT.npz
  oracle.py feeds --spm SPM --source FILE [--target FILE] [--batch N] [--limit N] -o PREFIX
  oracle.py translate GRAPH --spm SPM [--batch N] [--expect FILE --least N] < text > text
  oracle.py compare FP32 INT8 --feeds FEEDS.npz... [--ours OUT.npz...] [--fetch NAME] [--limit L2]
  oracle.py products INT8 [--feeds FEEDS.npz] [-o OUT.npz] [--cases DIR]
  oracle.py forms --tfq8 FILE MODEL CASE.pb...

GRAPH is a frozen GraphDef (.pb or .pbtxt). Feeds and answers are .npz files whose keys are names of nodes (their output
0) or tensors; quantized values stand there as int8, uint8 and int32. Exit code: 0 done and agreed, 1 differs, 2 error.
"""
import argparse
import json
import os
import sys
import tempfile
import time

import numpy as np

import tfgraph


def load_npz(path):
    with np.load(path) as f:
        return dict(f)


def write_json(value, file=sys.stdout):
    json.dump(value, file, ensure_ascii=False)
    file.write('\n')


def cmd_run(a):
    """Fetches tensors of a graph; prints dtype and shape of each."""
    out = tfgraph.run(tfgraph.load(a.graph), load_npz(a.feeds) if a.feeds else {}, a.fetch, a.threads)
    np.savez(a.out, **out)
    write_json({name: f'{v.dtype} {list(v.shape)}' for name, v in out.items()})
    return 0


def cmd_feeds(a):
    """Encodes text into feeds: int32 arrays, batches longest source first.

    Batch N is PREFIX-N.npz, and also PREFIX-N.NAME.npy for each feed.
    """
    import sentencepiece
    sp = sentencepiece.SentencePieceProcessor(model_file=a.spm)
    encode = lambda path: tfgraph.encode(sp, read_file(path)[:a.limit], a.eos)
    source, target = encode(a.source), encode(a.target) if a.target else None
    if target is not None and len(target) != len(source):
        raise ValueError(f'{a.target}: has {len(target)} lines, want {len(source)} as {a.source} has')
    written = []
    for rows, ids in tfgraph.batches(source, a.batch, a.pad):
        arrays = {a.source_name: ids}
        if target is not None:
            arrays[a.target_name] = tfgraph.padded([target[i] for i in rows], a.pad)
        written.append(f'{a.out}-{len(written)}.npz')
        np.savez(written[-1], **arrays)
        for name, value in arrays.items():
            np.save(f'{written[-1].removesuffix(".npz")}.{name}.npy', value)
    write_json({'files': written, 'sentences': len(source)})
    return 0


def read_file(path):
    with open(path, encoding='utf-8', newline='\n') as f:
        return tfgraph.read_lines(f)


def cmd_translate(a):
    """Translates standard input line by line; figures go to standard error as one line of JSON."""
    import sentencepiece
    sp = sentencepiece.SentencePieceProcessor(model_file=a.spm)
    with open(sys.stdin.fileno(), encoding='utf-8', newline='\n', closefd=False) as f:
        lines = tfgraph.read_lines(f)[:a.limit]
    out, tokens, work = [''] * len(lines), 0, list(tfgraph.batches(tfgraph.encode(sp, lines, a.eos), a.batch, a.pad))
    with tfgraph.session(tfgraph.load(a.graph), a.threads) as s:
        call = lambda ids: s.run(tfgraph.tensor_name(a.fetch), {tfgraph.tensor_name(a.source_name): ids})
        if work:
            call(work[0][1])  # warm-up
        began, ended, found = time.perf_counter(), 0, []
        for rows, ids in work:
            found.append((rows, call(ids)))
        seconds = time.perf_counter() - began
    for rows, translations in found:
        for i, ids in zip(rows, translations):
            kept = tfgraph.hypothesis(ids, a.pad, a.eos)
            out[i], tokens = sp.decode(kept), tokens + len(kept) + 1
            ended += int(a.eos in (ids[0] if ids.ndim == 2 else ids))
    sys.stdout.buffer.write(''.join(line + '\n' for line in out).encode('utf-8'))
    sys.stdout.flush()
    figures = {'seconds': round(seconds, 3), 'sentences': len(lines), 'target_tokens': tokens,
               'stop_token_rate': ended / len(lines) if lines else None}
    agreed = True
    if a.expect:
        other = read_file(a.expect)[:len(out)]
        figures['equal'] = sum(x == y for x, y in zip(out, other)) if len(other) == len(out) else 0
        agreed = figures['equal'] >= (a.least if a.least is not None else len(out))
    write_json(figures, sys.stderr)
    return 0 if agreed else 1


def distance(got, want):
    """Relative L2: |got - want| / |want| over all elements."""
    size = np.linalg.norm(want.astype(np.float64))
    return float(np.linalg.norm(got.astype(np.float64) - want) / size) if size else float(np.any(got))


def cmd_compare(a):
    """Runs FP32 and INT8 in TensorFlow on the same feeds and measures how far answers lie apart.

    Positions that a feed of the fetch's leading shape pads (target for logits) are left out.
    """
    fp32, int8 = tfgraph.load(a.fp32), tfgraph.load(a.int8)
    if a.ours and len(a.ours) != len(a.feeds):
        raise ValueError(f'--ours: have {len(a.ours)} files, want {len(a.feeds)}, one for each --feeds')
    gathered = {'fp32': [], 'int8': [], 'ours': []}
    for i, path in enumerate(a.feeds):
        feeds = load_npz(path)
        answers = {'fp32': tfgraph.run(fp32, feeds, [a.fetch], a.threads)[a.fetch],
                   'int8': tfgraph.run(int8, feeds, [a.fetch], a.threads)[a.fetch]}
        if a.ours:
            ours = load_npz(a.ours[i])
            name = next((n for n in (a.fetch, tfgraph.tensor_name(a.fetch)) if n in ours), None)
            if name is None:
                raise ValueError(f'{a.ours[i]}: has no {a.fetch!r}, have {sorted(ours)}')
            answers['ours'] = ours[name]
            if ours[name].shape != answers['int8'].shape:
                raise ValueError(f'{a.ours[i]}: {a.fetch!r} has shape {list(ours[name].shape)}, want {list(answers["int8"].shape)}')
        shape = answers['fp32'].shape
        mask = next((v != a.pad for n, v in feeds.items() if n.startswith(a.target_name) and v.shape == shape[:2]), slice(None))
        for kind, value in answers.items():
            gathered[kind].append(value[mask].reshape(-1, shape[-1]))
    joined = {kind: np.concatenate(v) for kind, v in gathered.items() if v}
    same = lambda x, y: float((joined[x].argmax(-1) == joined[y].argmax(-1)).mean())
    result = {'fetch': a.fetch, 'rows': len(joined['fp32']), 'int8_from_fp32': distance(joined['int8'], joined['fp32']),
              'int8_same_argmax_as_fp32': same('int8', 'fp32')}
    if a.ours:
        result |= {'ours_from_int8': distance(joined['ours'], joined['int8']),
                   'ours_same_argmax_as_int8': same('ours', 'int8'),
                   'ours_largest_difference': float(np.abs(joined['ours'].astype(np.float64) - joined['int8']).max()),
                   'limit': a.limit}
    write_json(result)
    return 0 if not a.ours or result['ours_from_int8'] <= a.limit else 1


def cmd_products(a):
    """Checks every quantized product; writes codes and TensorFlow's outputs to OUT.npz and what they are to OUT.json.

    OUT.npz holds NNN.a, NNN.b, NNN.bias, NNN.min_a, ... NNN.out for the product number NNN of the list in OUT.json.
    DIR gets a case file a product, NNN.pb: a graph of that product alone, codes, and TensorFlow's answer.
    """
    import products
    records, arrays = [], {}
    if a.cases:
        os.makedirs(a.cases, exist_ok=True)
    for record, values, case in products.examine(tfgraph.load(a.graph), load_npz(a.feeds) if a.feeds else None, a.rows, a.seed):
        number = f'{len(records):03d}'
        records.append({'number': number} | record)
        arrays |= {f'{number}.{name}': v for name, v in values.items()}
        if a.cases and case:
            with open(os.path.join(a.cases, number + '.pb'), 'wb') as f:
                f.write(case.SerializeToString(deterministic=True))
        if not record['ok']:
            write_json(record, sys.stderr)
    if a.out:
        np.savez(a.out, **arrays)
        with open(os.path.splitext(a.out)[0] + '.json', 'w', encoding='utf-8') as f:
            json.dump(records, f, indent=1)
    bad, vnni = [r for r in records if not r['ok']], tfgraph.has_vnni()
    write_json({'products': sum(r['from'] == 'cut' for r in records), 'in_loops': sum(bool(r['loop']) for r in records),
                'in_functions': sum(bool(r['function']) for r in records), 'checks': len(records), 'failed': len(bad), 'vnni': vnni,
                'largest_error': max((r['error'] for r in records), default=0.0),
                'elements': sum(r['elements'] for r in records), 'not_bit_equal': sum(r['different'] for r in records)})
    if bad and not vnni and any(r['largest_weight'] > 64 for r in bad):
        print('oracle: this CPU has no VNNI, where TensorFlow adds pairs of products in 16 bits and saturates; convert with '
              '--reduce-range to compare here', file=sys.stderr)
    if not records:
        print(f'oracle: {a.graph}: has no {products.OP} node', file=sys.stderr)
    return 0 if records and not bad else 1


def cmd_forms(a):
    """Checks that TensorFlow loads what freeze and convert write of a model, and gives the recorded answers.

    MODEL is a graph or a SavedModel, CASE.pb its recorded answers. INT8 is compared with tfq8's own answers.
    """
    import forms
    vnni, count, bad = tfgraph.has_vnni(), 0, 0
    with tempfile.TemporaryDirectory() as work:
        for form, case, why in forms.check(a.tfq8, work, a.model, a.cases, vnni is False):
            count += 1
            if why:
                bad += 1
                print(f'oracle: {a.model}: {form}: {os.path.basename(case)}: {why}', file=sys.stderr)
    write_json({'model': a.model, 'checks': count, 'failed': bad})
    return 0 if count and not bad else 1


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = p.add_subparsers(required=True, metavar='COMMAND')

    def verb(name, function):
        v = verbs.add_parser(name, help=function.__doc__.split('\n')[0], description=function.__doc__)
        v.set_defaults(function=function)
        v.add_argument('--threads', type=int, default=2)
        v.add_argument('--pad', type=int, default=tfgraph.PAD)
        v.add_argument('--eos', type=int, default=tfgraph.EOS)
        v.add_argument('--source-name', default='source', help='the feed that takes the source')
        v.add_argument('--target-name', default='target', help='the feed that takes the target')
        return v

    v = verb('run', cmd_run)
    v.add_argument('graph')
    v.add_argument('--feeds')
    v.add_argument('--fetch', nargs='+', required=True)
    v.add_argument('-o', '--out', required=True)
    v = verb('feeds', cmd_feeds)
    v.add_argument('--spm', required=True)
    v.add_argument('--source', required=True)
    v.add_argument('--target')
    v.add_argument('--batch', type=int, default=32)
    v.add_argument('--limit', type=int)
    v.add_argument('-o', '--out', required=True, metavar='PREFIX')
    v = verb('translate', cmd_translate)
    v.add_argument('graph')
    v.add_argument('--spm', required=True)
    v.add_argument('--batch', type=int, default=32)
    v.add_argument('--limit', type=int)
    v.add_argument('--fetch', default='translations')
    v.add_argument('--expect', metavar='FILE', help='translations to compare with, line by line')
    v.add_argument('--least', type=int, help='equal lines wanted (all of them if not given)')
    v = verb('compare', cmd_compare)
    v.add_argument('fp32')
    v.add_argument('int8')
    v.add_argument('--feeds', nargs='+', required=True)
    v.add_argument('--ours', nargs='+')
    v.add_argument('--fetch', default='logits')
    v.add_argument('--limit', type=float, default=0.01, help='largest relative L2 between ours and INT8 in TensorFlow')
    v = verb('products', cmd_products)
    v.add_argument('graph')
    v.add_argument('--feeds')
    v.add_argument('--rows', type=int, default=5, help='rows of random codes for products that are cut out')
    v.add_argument('--seed', type=int, default=1)
    v.add_argument('-o', '--out')
    v.add_argument('--cases', metavar='DIR')
    v = verb('forms', cmd_forms)
    v.add_argument('--tfq8', required=True)
    v.add_argument('model')
    v.add_argument('cases', nargs='+')
    return p


def main():
    a = parser().parse_args()
    try:
        return a.function(a)
    except Exception as e:  # TensorFlow's errors have no common base below this
        print(f'oracle: {type(e).__name__}: {e}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
