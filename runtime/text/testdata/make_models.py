"""Trains small SentencePiece models on made-up sentences and records reference encodings: python make_models.py OUTDIR SEED

Recorded with the sentencepiece package 0.2.3. For each row of MODELS: NAME.model and encodings-NAME.jsonl, whose lines are
{"text" or "raw" (base64), "ids", "pieces", "surfaces", "decoded"}, or {"ids", "decoded"}.
"""
import base64
import json
import os
import random
import sys
import tempfile

import sentencepiece as spm

SUBJECTS = 'a dog,the old man,two children,my neighbour,ein Hund,die Frau,zwei Männer,das Mädchen,somebody,nobody'.split(',')
VERBS = 'sees,carries,paints,is looking at,forgot,sieht,trägt,malt,vergisst,verkauft,liest,reads'.split(',')
OBJECTS = 'a red house,the bicycle,three apples,ein rotes Haus,das Fahrrad,drei Äpfel,12 eggs,the letters,die Straße,an island'.split(',')
ENDS = 'in the morning.,near the river!,am Abend.,an der Brücke?,at 7:30.,without a word.,,,again and again.,„schon wieder“.'.split(',')
RULES = {'ﬁ': 'fi', 'ﬂ': 'fl', '\u3000': ' ', '\u00a0': ' ', '\t': ' ', '\u200b': '', 'Ａ': 'A', '½': '1/2', 'e\u0301': 'é', 'ẞ': 'SS', '…': '...', 'A\u030a': 'Å'}
BASE = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1, minloglevel=2, hard_vocab_limit=False)
MODELS = {
    'bpe_rules': dict(model_type='bpe', vocab_size=320, rules=True, user_defined_symbols=['<sep>', 'red h', 'Ä'], control_symbols=['<2de>', 'z'], hard_vocab_limit=True),
    'bpe_bytes_suffix': dict(model_type='bpe', vocab_size=500, normalization_rule_name='identity', byte_fallback=True, treat_whitespace_as_suffix=True, hard_vocab_limit=True),
    'unigram_rules': dict(model_type='unigram', vocab_size=300, rules=True, add_dummy_prefix=False, user_defined_symbols=['aba', '<sep>'], unk_surface=' ?? '),
    'unigram_bytes': dict(model_type='unigram', vocab_size=500, normalization_rule_name='identity', byte_fallback=True, remove_extra_whitespaces=False, character_coverage=0.98),
    'char_rules': dict(model_type='char', vocab_size=80, rules=True, user_defined_symbols=['the', '<sep>'], remove_extra_whitespaces=False),
    'word_bytes': dict(model_type='word', vocab_size=340, normalization_rule_name='identity', byte_fallback=True),
}
ODD = ['', ' ', '  two  spaces  ', '\ttab\tbed', 'a', 'Ａ　house', 'ﬁne ﬂag', 'e\u0301 vs é', 'Straße ẞ', '½ …', 'nbsp\u00a0here\u200bzero', '▁▁ under ▁', '日本語のテキスト。', 'नमस्ते', '🙂👍🏽👩\u200d👩', '\u0000nul', '\u0007bell', 'x' * 200, 'ab' * 150,
       'aba' * 40, '<unk> <s> </s> <pad> <0x41> <sep><2de>z', '<sep>red house<sep>', 'a red h ouse', 'Äpfel A\u030a', '\ufffd', ' the the the ', 'thethe the', 'line\u2028sep', 'a\u0300\u0301b', '12 eggs 7:30']


def sentence(r):
    return ' '.join(r.choice(words) for words in (SUBJECTS, VERBS, OBJECTS, ENDS)).strip()


def main(out, seed):
    r, out = random.Random(int(seed)), os.path.abspath(out)
    with tempfile.TemporaryDirectory() as tmp:
        os.chdir(tmp)  # relative names, so that the models do not depend on the folder's
        corpus, rules = 'corpus.txt', 'rules.tsv'
        with open(corpus, 'w', encoding='utf-8') as f:
            f.writelines(sentence(r) + '\n' for _ in range(1500))
        with open(rules, 'w', encoding='utf-8') as f:
            f.writelines(' '.join(f'{ord(c):X}' for c in a) + '\t' + ' '.join(f'{ord(c):X}' for c in b) + '\n' for a, b in RULES.items())
        for name, options in MODELS.items():
            options = {**BASE, **options}
            if options.pop('rules', False):
                options['normalization_rule_tsv'] = rules
            spm.SentencePieceTrainer.train(input=corpus, model_prefix=name, **options)
            data = open(name + '.model', 'rb').read()
            open(os.path.join(out, name + '.model'), 'wb').write(data)
            record(spm.SentencePieceProcessor(model_proto=data), os.path.join(out, f'encodings-{name}.jsonl'), r)


def record(sp, path, r):
    texts = ODD + [sentence(r) for _ in range(12)]
    texts += [''.join(r.choice(sentence(r)) for _ in range(40)) for _ in range(15)]
    texts += [''.join(r.choice(sentence(r) + ' \t▁日ﬁ½\u3000' + chr(r.randrange(32, 0x3100))) for _ in range(25)) for _ in range(15)]
    for _ in range(12):
        b = bytearray(sentence(r).encode())
        for _ in range(3):
            b.insert(r.randrange(len(b) + 1), r.randrange(128, 256))
        texts.append(bytes(b))
    with open(path, 'w', encoding='utf-8') as f:
        for t in texts:
            ids = sp.encode(t)
            line = {'text': t} if isinstance(t, str) else {'raw': base64.b64encode(t).decode()}
            line |= {'ids': ids, 'pieces': [sp.id_to_piece(i) for i in ids], 'surfaces': sp.encode(t, out_type=str), 'decoded': sp.decode(ids)}
            f.write(json.dumps(line, ensure_ascii=False) + '\n')
        for _ in range(25):
            ids = [r.randrange(sp.get_piece_size()) for _ in range(r.randrange(1, 12))]
            f.write(json.dumps({'ids': ids, 'decoded': sp.decode(ids)}, ensure_ascii=False) + '\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
