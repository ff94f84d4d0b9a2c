"""Training under attack: killed at random moments, on a full disk, with every key turned."""
import csv, json, os, random, shutil, signal, subprocess, sys, time
from collections import Counter
from dataclasses import fields
import pytest
from conftest import GRAPHMER, only_run
from graphmer_se.core import read_arrays, read_json
from graphmer_se.model.batches import MaskConfig
from graphmer_se.model.encoder import EncoderConfig
from graphmer_se.model.fit import FitConfig, fit, prepare
from graphmer_se.model.profiles import OF_THE_CODE, defaults
from graphmer_se.model.training import TrainConfig

ENCODED = ('chains.safetensors', 'candidates.safetensors', 'split.json', 'tokenizer.json')
SMALL = defaults()|dict(device='cpu', threads=1, size='tiny', precision='fp32', steps=3, rows=2, warmup=1, lr=3e-3, validate_every=2, checkpoint_every=2, samples=200)

@pytest.fixture(scope='session')
def encoded(smoke, tmp_path_factory):
    "What the encode stage of the smoke run left; of the validation split one file that has few units."
    folder = tmp_path_factory.mktemp('encoded')
    for name in ENCODED: shutil.copy(only_run(smoke)/name, folder/name)
    split, units = read_json(folder/'split.json'), Counter(read_arrays(folder/'chains.safetensors')['unit_file'].tolist())
    one = min((i for i, part in enumerate(split['parts']) if part=='validation' and units[i]>8), key=units.get)
    split['parts'] = ['test' if part=='validation' and i!=one else part for i, part in enumerate(split['parts'])]
    (folder/'split.json').write_text(json.dumps(split))
    return folder

def copied(encoded, folder):
    folder.mkdir(parents=True)
    for name in ENCODED: os.link(encoded/name, folder/name)
    return folder

def trained(folder, settings)->dict:
    "What a training leaves that does not tell the time."
    for _ in fit(prepare(folder, settings)): pass
    return {p.relative_to(folder).as_posix():p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file() and p.name not in (*ENCODED, 'timings.csv')}

OTHER = dict(steps=2, seed=7, rows=3, length=224, curriculum='0:96 2:256', lr=1e-3, warmup=2, schedule='trapezoid', weight_decay=.5, beta1=.5, beta2=.9, clip=.01, bias_lr=1., mlm_from=.5, mlm_to=.3,
             mnm_weight=.3, symbol_weight=.1, symbol_questions=1, temperature=.2, negatives='batch', negatives_each=3, antisymmetry_weight=.5, acyclicity_weight=.5, precision='bf16', validate_every=3,
             patience=1, span_p=.9, span_most=1, leaves_share=.2, mnm_rate=.8, evidence_rate=1., groups_most=2, slots_fewest=1, slots_most=3, whole_words=0.,
             hidden=32, layers=1, heads=1, feed_forward=64, symbol=32, activation='swiglu', norm='rms', positions='alibi', most_positions=8, relation_bias='none', buckets=8, farthest=64, waves=3,
             hgat_rank=4, hgat_reach=1, hgat_dropout=0., keep='best', keep_every=2, samples=20, validation_samples=9, size='small', start='random', final_dtype='bf16',
             mlm_weight=.3, pairs_weight=.1, pairs=4, pair_tokens=16, pair_names_hidden=0., norm_first=False, biases=True, together=4, optimizer='muon', relation_balance=1., window=8)
ORDER = dict(rows=48, symbol_questions=500, leaves_share=1., mnm_rate=.9, samples=0)      # enough heads of one ordered relation in a step
NEEDS = dict(most_positions=dict(positions='learned'), waves=dict(relation_bias='separable'), hgat_reach=dict(hgat_rank=4), hgat_dropout=dict(hgat_rank=4), patience=dict(lr=30., validate_every=1, steps=24), keep=dict(lr=30., validate_every=1), keep_every=dict(checkpoint_every=1),
             antisymmetry_weight=ORDER, acyclicity_weight=ORDER, hidden=dict(heads=2))
SAME_NUMBERS = {'device', 'processes', 'threads', 'micro_rows', 'recompute', 'checkpoint_every'}     # how it is computed, not what

def test_every_key_has_an_effect(encoded, tmp_path):
    keys = {f.name for kind in (FitConfig, TrainConfig, MaskConfig, EncoderConfig) for f in fields(kind)}-{*OF_THE_CODE, 'vocabulary'}
    assert keys==set(OTHER)|SAME_NUMBERS
    plain, without = {}, []
    results = lambda folder, settings: {k:v for k, v in trained(copied(encoded, folder), settings).items() if not k.endswith('state.json')}     # which only repeats the keys
    for key in sorted(OTHER):
        base = SMALL|NEEDS.get(key, {})
        name = json.dumps(NEEDS.get(key, {}))
        if name not in plain: plain[name] = results(tmp_path/f'plain {key}', base)
        if results(tmp_path/key, base|{key:OTHER[key]})==plain[name]: without.append(key)
    assert not without, ' '.join(without)

def test_killed_at_random_moments(encoded, tmp_path):
    "kill -9 again and again; in the end the files are those of an undisturbed training."
    settings = SMALL|dict(steps=12, checkpoint_every=3, validate_every=6, keep='best', keep_every=6)
    whole, cut, rng = trained(copied(encoded, tmp_path/'whole'), settings), copied(encoded, tmp_path/'cut'), random.Random(3)
    command = [GRAPHMER, 'fit', str(cut), '--settings', json.dumps(settings)]
    kills, first = 0, None
    for attempt in range(int(os.environ.get('GRAPHMER_KILLS', 3))):
        process, began = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), time.time()
        while not (cut/'metrics.csv').exists() and process.poll() is None: time.sleep(.01)
        first = first or time.time()-began
        time.sleep(rng.uniform(.5, 1)*first if attempt else 0); time.sleep(rng.uniform(0, 1.5))
        if process.poll() is None: process.send_signal(signal.SIGKILL); kills += 1
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode==0, done.stderr
    left = {p.relative_to(cut).as_posix():p.read_bytes() for p in sorted(cut.rglob('*')) if p.is_file() and p.name not in (*ENCODED, 'timings.csv')}
    assert kills and [name for name in {*whole, *left} if whole.get(name)!=left.get(name)]==[]

def test_a_full_disk_is_said_and_the_last_checkpoint_stays(encoded, tmp_path):
    "Files may not grow beyond a limit that the third checkpoint does not fit under; without the limit the training goes on."
    folder, settings = copied(encoded, tmp_path/'full'), SMALL|dict(steps=6)
    for log in (training := fit(prepare(folder, settings))):
        if log['step']==3: training.close(); break
    good = {p.name:p.read_bytes() for p in (folder/'checkpoints'/'step-000002').iterdir()}
    limited = 'import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); from graphmer_se.cli import main; main()'
    done = subprocess.run([sys.executable, '-c', limited, 'fit', str(folder), '--settings', json.dumps(settings)], capture_output=True, text=True)
    assert done.returncode==2 and 'cannot write' in done.stderr and 'free disk space' in done.stderr and 'Traceback' not in done.stderr, done.stderr
    assert {p.name:p.read_bytes() for p in (folder/'checkpoints'/'step-000002').iterdir()}==good
    for _ in fit(prepare(folder, settings)): pass
    with open(folder/'metrics.csv', newline='') as f: assert [int(r['step']) for r in csv.DictReader(f)]==[1, 2, 3, 4, 5, 6]

def test_processes_started_by_a_launcher_share_a_training(encoded, tmp_path):
    "torchrun and accelerate launch, two processes each, equal one process up to the order of sums."
    losses = {}
    settings = SMALL|dict(steps=3, precision='fp32')
    for name, launcher in dict(alone=[], torchrun=['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', '--no-python'],
                               accelerate=['-m', 'accelerate.commands.launch', '--cpu', '--num_processes', '2', '--num_machines', '1', '--mixed_precision', 'no', '--dynamo_backend', 'no', '--no_python']).items():
        folder = copied(encoded, tmp_path/name)
        done = subprocess.run([*([sys.executable, *launcher] if launcher else []), str(GRAPHMER), 'fit', str(folder), '--settings', json.dumps(settings)], capture_output=True, text=True)
        assert done.returncode==0, done.stderr
        with open(folder/'metrics.csv', newline='') as f: losses[name] = [float(r['loss']) for r in csv.DictReader(f)]
    for name in ('torchrun', 'accelerate'): assert losses[name]==pytest.approx(losses['alone'], abs=2e-3)
