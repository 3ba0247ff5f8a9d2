"""Engines that take turns: long-lived processes, their best settings, alternating runs, medians, tables.

An engine is a Worker: a program that gets ready, prints a line of JSON, and then does its work once for every line that
it reads, printing {"seconds": ..} each time. Loading, warming up and Python's own start are thus in no measurement.
serve.py is that program for the peers, `turns` (internal/turns) for this project. Where the work is a whole command of
ours, such as tfq8 eval, a Command takes the turns.
"""
import itertools
import json
import os
import platform
import re
import statistics
import subprocess
import sys

CORES = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
HERE = os.path.dirname(os.path.abspath(__file__))

# What this project runs: the original graph, and what convert makes of it for each target. Short, as heads of columns.
OURS = {'fp32': 'tfq8 FP32', 'tensorflow': 'tfq8 INT8, target tensorflow', 'tfq8': 'tfq8 INT8, target tfq8'}
TRIALS = 3  # turns of each setting; one alone picks what the machine was kind to
COLUMNS = ['/ FP32', '/ INT8 tensorflow', '/ INT8 tfq8']


def cpu_flags():
    """The instruction sets of this CPU by Linux's names; empty elsewhere."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as f:
            return set(re.search(r'^flags\s*:(.*)', f.read(), re.M)[1].split())
    except (OSError, TypeError):
        return set()


def intel():
    """Whether Intel made this CPU."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as f:
            return 'GenuineIntel' in f.read()
    except OSError:
        return False


def machine():
    """A line that names the CPU, its cores and what matters of its instruction sets."""
    name, flags = platform.processor() or platform.machine(), cpu_flags()
    if flags:
        with open('/proc/cpuinfo', encoding='utf-8') as f:
            name = re.search(r'^model name\s*: (.*)', f.read(), re.M)[1]
    sets = [s for s in ('avx2', 'avx_vnni', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_int8') if s in flags]
    return f'{name}, {CORES} cores, {" ".join(sets)}'


class Failed(Exception):
    """An engine could not run."""


class Worker:
    """A process that does its work once a line. env is set over this process's environment."""

    def __init__(self, name, command, env=None, log=os.devnull):
        self.name, self.log = name, log
        self.err = open(log, 'w', encoding='utf-8')
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err,
                                        text=True, env={**os.environ, **(env or {})})
        self.ready = self.read()

    def read(self):
        for line in self.process.stdout:
            if line.startswith('{'):  # libraries may print what they like
                return json.loads(line)
        self.close()
        last = ''
        if os.path.isfile(self.log):
            with open(self.log, encoding='utf-8', errors='replace') as f:
                last = ''.join(f.readlines()[-3:]).strip()
        raise Failed(f'{self.name}: {last or "ended without a word"}')

    def ask(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        return self.read()

    def turn(self):
        return self.ask('run')

    def save(self, path):
        """Writes what the last turn computed."""
        return self.ask('save ' + path)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.err.close()


class Command:
    """A command that prints one JSON value, with its own "seconds", each time that it runs."""

    def __init__(self, name, command):
        self.name, self.command = name, command

    def turn(self):
        with subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
            out, err = p.stdout.read(), p.stderr.read()
            _, status, used = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode:
            raise Failed(f'{self.name}: {err.strip()[-300:]}')
        return {**json.loads(out), 'peak': used.ru_maxrss * (1 if sys.platform == 'darwin' else 1024)}

    def close(self):
        pass


def server(name, engine, *args, env=None, log=os.devnull):
    """The worker that serve.py is for an engine."""
    return Worker(name, [sys.executable, os.path.join(HERE, 'serve.py'), engine, *map(str, args)], env, log)


def best(name, start, choices, quick=False):
    """The fastest settings of an engine, found one choice after the other, each by the best of some turns; the usual ones if quick.

    choices maps each setting to its values, the usual one first; start(**settings) returns a worker on a sample of the
    work. Each setting is decided while the later ones have their first value. Settings that fail are passed over.
    """
    chosen, known = {k: v[0] for k, v in choices.items()}, {}
    if quick:
        return chosen

    def seconds(**settings):
        key = tuple(settings.values())
        if key not in known:
            try:
                worker = start(**settings)
                known[key] = min(worker.turn()['seconds'] for _ in range(TRIALS))
                worker.close()
            except Failed as e:
                known[key] = float('inf')
                print(f'note: {name} with {settings}: {e}', file=sys.stderr)
        return known[key]

    for setting, values in choices.items():
        chosen[setting] = min(values, key=lambda v: seconds(**{**chosen, setting: v})) if len(values) > 1 else values[0]
    return chosen


def ct2_choices():
    """CTranslate2's switches, for best: None, what it takes by itself, and the opposite.

    By itself it takes AVX-512 and Intel's MKL on Intel's CPUs, and AVX2 and oneDNN on others.
    """
    isas = [None]
    if 'avx512f' in cpu_flags():
        isas.append('AVX2' if intel() else 'AVX512')
    return {'isa': isas, 'mkl': [None, '0' if intel() else '1']}


def ct2_env(settings):
    return {name: settings[k] for k, name in (('isa', 'CT2_FORCE_CPU_ISA'), ('mkl', 'CT2_USE_MKL')) if settings[k] is not None}


def describe(settings):
    """Settings in words; the usual ones, None, are left out."""
    return ', '.join(f'{k} {v}' for k, v in settings.items() if v is not None)


def alternate(engines, rounds):
    """Lets all engines take turns, rounds times -> {name: list of what their turns printed}."""
    results = {e.name: [] for e in engines}
    for _, e in itertools.product(range(rounds), engines):
        results[e.name].append(e.turn())
    return results


def median(results, key='seconds'):
    return statistics.median(r[key] for r in results)


def ratio(ours, theirs, key='seconds'):
    """How much faster ours is: the median of the ratios of neighbouring turns."""
    return statistics.median(b[key] / a[key] for a, b in zip(ours, theirs))


def rows_of(results, cells):
    """Rows of a table: name, cells(name, its results), and how many times as long as each of ours it took (see COLUMNS)."""
    return [[name, *cells(name, got), *('' if name == o else f'{ratio(results[o], got):.2f}' for o in OURS.values())]
            for name, got in results.items()]


def table(title, head, rows):
    """Prints a Markdown table."""
    print(f'\n{title}\n\n| {" | ".join(head)} |\n|{"---|" * len(head)}', flush=True)
    for row in rows:
        print(f'| {" | ".join(row)} |', flush=True)
