"""Numbers from 0 to 999,999 in English and in German words, and the samples drawn from them.

English has spaces and hyphens ("three hundred twelve thousand twenty-one"), German is one word, units before tens
("dreihundertzwölftausendeinundzwanzig"). Both directions are exact, so every translation has one right answer.
"""
import random

LIMIT = 1_000_000

EN_SMALL = ('zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen '
            'seventeen eighteen nineteen').split()
EN_TENS = '- - twenty thirty forty fifty sixty seventy eighty ninety'.split()
DE_SMALL = ('null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn '
            'siebzehn achtzehn neunzehn').split()
DE_TENS = '- - zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig'.split()


def english(n):
    """The English words of n, 0 <= n < LIMIT."""
    if n >= 1000:
        rest = n % 1000
        return english(n // 1000) + ' thousand' + (' ' + english(rest) if rest else '')
    if n >= 100:
        rest = n % 100
        return EN_SMALL[n // 100] + ' hundred' + (' ' + english(rest) if rest else '')
    if n >= 20:
        return EN_TENS[n // 10] + ('-' + EN_SMALL[n % 10] if n % 10 else '')
    return EN_SMALL[n]


def german(n):
    """The German word of n, 0 <= n < LIMIT."""
    return german_part(n, last=True)


def german_part(n, last):
    """As german; one is "eins" only at the end of the whole word (last), else "ein"."""
    if n >= 1000:
        rest = n % 1000
        return german_part(n // 1000, False) + 'tausend' + (german_part(rest, last) if rest else '')
    if n >= 100:
        rest = n % 100
        return german_part(n // 100, False) + 'hundert' + (german_part(rest, last) if rest else '')
    if n >= 20:
        return (german_part(n % 10, False) + 'und' if n % 10 else '') + DE_TENS[n // 10]
    return 'ein' if n == 1 and not last else DE_SMALL[n]


def spread(rng, least=0):
    """A random number with every count of digits equally likely, at least `least`."""
    while True:
        n = rng.randrange(10 ** rng.randint(1, 6))
        if n >= least:
            return n


def held_out(seed, count):
    """`count` different numbers for the test: four of five uniform in the whole range, the rest spread from 100 up.

    The numbers below 100 are left to training: each is a word of its own there.
    """
    rng, found = random.Random(seed), {}
    while len(found) < count:
        n = rng.randrange(100, LIMIT) if len(found) < count * 4 // 5 else spread(rng, 100)
        found[n] = None
    return list(found)


def training(seed, barred):
    """An endless stream of numbers outside `barred`, half uniform, half spread over the counts of digits."""
    rng = random.Random(seed)
    while True:
        n = rng.randrange(LIMIT) if rng.random() < 0.5 else spread(rng)
        if n not in barred:
            yield n
