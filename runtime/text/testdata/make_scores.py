"""Records sacrebleu's answers (2.6.0, default options) on odd and mutated texts: python make_scores.py OUT.jsonl SEED COUNT [HYPS REFS]

Each line: hyps, refs, and what sacrebleu says of them. With HYPS and REFS, lines of these files are mutated as well.
"""
import json
import random
import sys

from sacrebleu.metrics import BLEU, CHRF

ODD = ['', ' ', 'a', 'The cat sat on the mat.', 'the cat sat on the mat', 'He paid $1,000.50 (10%) for it - twice!', 'x-y 3-4 4-x a-3 10--11', '...', 'a..b,,c', '1.2.3,4', '.5 5. ,5 5,',
       '&quot;Hi&quot; &amp;lt;b&gt; &amp; AT&T', '<skipped>gap<skipped> text', 'don\'t “quote” ‘it’ — dash – en … …', 'a\u00a0b\u3000c\u2003d\u200be', '日本語のテキスト。これは本です。', '中文，测试！ 12,5', 'مرحبا بالعالم، 3.5',
       'naïve café', 'naïve café', '👩‍👩‍👧 🙂 ok', 'tab\there\x1cfs\x85nel\x0bvt', 'line-\nbreak\nagain', '[x] {y} `z` ~w @v #u ^t _s \\r |q| /p/', 'A B C D', 'A B C', 'a b', '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~', 'Straße 5.-Mai 1.-2.', 'x ' * 40, '³.² ١.٢ ．，']


def main(out, seed, count, hyps=None, refs=None):
    r = random.Random(int(seed))
    pairs = [(a, b) for a in ODD for b in ODD[:6] + [a]]
    if hyps:
        pairs += list(zip(open(hyps, encoding='utf-8').read().split('\n')[:-1], open(refs, encoding='utf-8').read().split('\n')[:-1]))

    def mutate(s):
        s = list(s)
        for _ in range(r.randrange(4)):
            at = r.randrange(len(s) + 1)
            if r.random() < 0.3 and s:
                del s[min(at, len(s) - 1)]
            else:
                s.insert(at, r.choice(['.', ',', '-', ' ', '&amp;', '&lt;', '\u00a0', '5', 'é', '„', '日', "'", '(', 'the ', '\u0301', '…']))
        return ''.join(s)

    with open(out, 'w', encoding='utf-8') as f:
        for i in range(int(count)):
            n = 1 if i % 2 else r.randrange(2, 8)
            chosen = [r.choice(pairs) for _ in range(n)]
            h, g = [mutate(a) for a, _ in chosen], [mutate(b) if r.random() < 0.5 else b for _, b in chosen]
            bleu, chrf = BLEU(force=True), CHRF()
            b, c = bleu.corpus_score(h, [g]), chrf.corpus_score(h, [g])
            f.write(json.dumps({'hyps': h, 'refs': g, 'score': b.score, 'precisions': b.precisions, 'bp': b.bp, 'hyp_len': b.sys_len, 'ref_len': b.ref_len, 'counts': b.counts, 'totals': b.totals, 'line': b.format(signature=str(bleu.get_signature())),
                                'chrf': c.score, 'chrf_line': c.format(signature=str(chrf.get_signature()))}, ensure_ascii=False) + '\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
