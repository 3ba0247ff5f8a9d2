"""Records the cases of this folder: python record.py [--out DIR] [--only GROUP/NAME] [--list] [--verbose].

The whole set takes half a minute. It is the same, byte for byte, on the same kind of machine.
"""
import argparse
import os
import shutil
import subprocess
import sys

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", default=os.path.join(HERE, "cases"))
    p.add_argument("--only", default="", help="record only files whose GROUP/NAME holds this")
    p.add_argument("--list", action="store_true", help="print the variants that TensorFlow refuses")
    p.add_argument("--verbose", action="store_true", help="print each variant before it runs")
    a = p.parse_args()
    first = os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    if first and not a.only:
        shutil.rmtree(a.out, ignore_errors=True)

    import recorder
    import suite_array
    import suite_flow
    import suite_matrix
    import suite_quant
    import suite_state
    import suite_math
    import suite_text

    r = recorder.Recorder(a.out, a.only, a.verbose)
    for suite in (suite_math, suite_array, suite_matrix, suite_quant, suite_text, suite_state, suite_flow):
        suite.build(r)
    if a.list:
        print("\n".join(r.refused))
    print("%d files, %d bytes; TensorFlow refuses %d variants%s"
          % (r.files, r.bytes, len(r.refused), "" if first else " with oneDNN"), flush=True)
    if first:  # the ops of the oneDNN build path need another process
        sys.exit(subprocess.call([sys.executable] + sys.argv, env=dict(os.environ, TF_ENABLE_ONEDNN_OPTS="1")))


if __name__ == "__main__":
    main()
