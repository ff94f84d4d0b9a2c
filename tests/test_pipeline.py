"""The main job on a small corpus: finished, repeatable, resumable, verifiable, and loud about forgeries."""
import csv, os, signal, subprocess, time
from conftest import GRAPHMER, graphmer, only_run
from graphmer_se.core import read_json
from graphmer_se.evidence.runs import comparable
from graphmer_se.evidence.verification import SUMS, verify

def failing(run)->set: return {f.check for f in verify(run) if not f.passed}

def test_a_smoke_run_finishes_and_verifies(smoke):
    run = only_run(smoke)
    assert failing(run)==set()
    assert subprocess.run(['sha256sum', '-c', '--quiet', SUMS], cwd=run).returncode==0
    metrics = read_json(run/'metrics.json')
    assert metrics['words/questions']>200 and metrics['edges/questions']>30
    assert 0<metrics['words/encoder/accuracy']<1 and metrics['words/5-gram/accuracy']>metrics['words/unigram/accuracy']
    with open(run/'metrics.csv') as f: assert [int(r['step']) for r in csv.DictReader(f)]==list(range(1, 31))
    leakage = read_json(run/'leakage.json')
    assert leakage['split_by']=='owner' and not leakage['owners_on_both_sides']
    page = (run/'report.html').read_text()
    assert not any(s in page for s in ('src="http', 'href="http', '@import', 'url(http')) and page.count('<svg')>=4

def test_the_same_call_finds_the_finished_run(smoke, corpus):
    run = only_run(smoke)
    before = (run/SUMS).stat().st_mtime_ns
    done = graphmer('run', corpus, '--profile', 'smoke', home=smoke)
    assert 'finished already' in done.stdout and (run/SUMS).stat().st_mtime_ns==before

def test_killed_and_resumed_equals_undisturbed(smoke, corpus, tmp_path):
    "kill -9 in the middle of training and again in evaluation; the bytes are those of the undisturbed run."
    home = tmp_path/'home'
    env = os.environ|{'GRAPHMER_HOME':str(home), 'GRAPHMER_QUIET':'1'}
    started = lambda: subprocess.Popen([GRAPHMER, 'run', str(corpus), '--profile', 'smoke'], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    reached = lambda pattern: list(home.glob(pattern))
    for pattern in ('runs/*/checkpoints/step-*', 'runs/*/predictions/*'):
        process = started()
        deadline = time.time()+120
        while not reached(pattern) and process.poll() is None and time.time()<deadline: time.sleep(.02)
        assert process.poll() is None, f'the run ended before {pattern} appeared'
        os.kill(process.pid, signal.SIGKILL); process.wait()
        assert not (only_run(home)/SUMS).exists()
    done = graphmer('run', corpus, '--profile', 'smoke', home=home)
    assert 'done before' in done.stderr
    first, second = comparable(only_run(smoke)), comparable(only_run(home))
    assert sorted(first)==sorted(second)
    assert [name for name in first if first[name]!=second[name]]==[]
    assert failing(only_run(home))==set()

def test_a_name_with_other_parameters_is_refused(smoke, corpus):
    run = only_run(smoke)
    done = graphmer('run', corpus, '--profile', 'smoke', '--name', run.name, '--set', 'seed=7', home=smoke, check=False)
    assert done.returncode==2 and 'seed is 42 there and 7 here' in done.stderr and '--force' in done.stderr

def test_a_failing_stage_keeps_its_notebook_and_exits_non_zero(smoke, corpus, tmp_path):
    home = tmp_path/'home'
    done = graphmer('run', corpus, '--profile', 'smoke', '--set', 'lr=1e30', home=home, check=False)
    assert done.returncode==2 and 'train failed' in done.stderr and 'loss is' in done.stderr
    run = only_run(home)
    assert (run/'notebooks'/'03_train.ipynb').exists() and not (run/SUMS).exists()
    assert read_json(run/'stages.json')['done']==['build_kg', 'encode']

def test_a_run_with_the_choices_of_the_paper(corpus, tmp_path):
    "Another choice of every key of model and schedule, from graph to report."
    keys = ('relation_bias=decay hgat_rank=8 positions=alibi norm=rms activation=swiglu recompute=true schedule=trapezoid micro_rows=2 keep=best validate_every=2 steps=6 test_units=20 test_edges=20 fit_edges=40 '
            'negatives=module antisymmetry_weight=.2 acyclicity_weight=.2 whole_words=.5 keep_every=3 checkpoint_every=3 samples=300')
    chosen = [x for k in keys.split() for x in ('--set', k)]+['--set', 'curriculum=0:128 3:256']
    graphmer('run', corpus, '--profile', 'smoke', *chosen, home=tmp_path)
    rows = list(csv.DictReader((only_run(tmp_path)/'metrics.csv').open()))
    assert [r['length'] for r in rows]==['128']*3+['256']*3 and failing(only_run(tmp_path))==set()
    assert all(float(r['acyclicity_loss'] or 0)>=0 for r in rows) and (only_run(tmp_path)/'checkpoints'/'step-000003').is_dir()

def test_asking_again_gives_the_numbers_of_the_run(smoke, tmp_path):
    "The suite from the checkpoint alone; a second call has nothing left to do, and other settings give other questions."
    run = only_run(smoke)
    done = graphmer('evaluate', run.name, '--tasks', 'edges,search_masked', '-o', tmp_path/'again', home=smoke)
    assert 'equal to the numbers of the run' in done.stderr and sorted(p.name for p in (tmp_path/'again'/'evaluation').iterdir())==['edges.json', 'search_masked.json']
    assert read_json(tmp_path/'again'/'evaluation'/'edges.json')==read_json(run/'evaluation'/'edges.json')
    assert graphmer('evaluate', run.name, '--tasks', 'edges,search_masked', '-o', tmp_path/'again', home=smoke).stdout==done.stdout
    graphmer('evaluate', run.name, '--tasks', 'edges', '--set', 'test_edges=20', '-o', tmp_path/'fewer', home=smoke)
    assert 0<read_json(tmp_path/'fewer'/'evaluation'/'edges.json')['edges/questions']<=20
    graphmer('evaluate', run.name, '--tasks', 'edges,search_named', '--set', 'control=random', '-o', tmp_path/'control', home=smoke)
    for task in ('edges', 'search_named'):
        m = read_json(tmp_path/'control'/'evaluation'/f'{task}.json')
        assert abs(m[f'{task}/encoder/mrr']-m[f'{task}/random/mrr'])<.1 and m[f'{task}/encoder/mrr']!=read_json(run/'evaluation'/f'{task}.json')[f'{task}/encoder/mrr']
    assert 'choose one of random, relations, names' in graphmer('evaluate', run.name, '--set', 'control=luck', home=smoke, check=False).stderr
    assert 'belongs to training' in graphmer('evaluate', run.name, '--set', 'steps=9', home=smoke, check=False).stderr
    assert 'KEY=VALUE' in graphmer('evaluate', run.name, '--set', 'test_edges', home=smoke, check=False).stderr
    assert 'unknown task' in graphmer('evaluate', run.name, '--tasks', 'edgez', home=smoke, check=False).stderr
