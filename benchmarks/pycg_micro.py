"""PyCG's micro-benchmark: calls between the code of a snippet, compared with the truth that comes with it.

    python benchmarks/pycg_micro.py --truth PATH [--rival VENV/bin/python] [--json]

PATH holds `<category>/<case>/callgraph.json` beside the snippet's files: `micro-benchmark/snippets` of PyCG's source distribution (pycg-0.0.8.tar.gz).
Counted are edges whose both ends are code of the snippet, or lambdas of it; built-ins and code that does not exist are left out. An edge with the rule
`py.calls.decorated` says that a name was called whose decorator put something else in its place; the truth lists what then really runs, so that rule is left out.
With `--rival PYTHON` PyCG itself (a module of that interpreter) is run on each snippet and held against the same truth.
"""
import argparse, json, os, re, sys
from pathlib import Path
from rivals import pycg_calls
from graphmer_se.kg.build import build
from graphmer_se.parsing.corpus import Repository

os.environ.setdefault('GRAPHMER_QUIET','1')         # the figures, without a bar for each graph

def label(name:str)->str:
    "Our qualified name as PyCG writes it."
    return re.sub(r'<lambda>(?:#(\d+))?', lambda m: f'<lambda{m.group(1) or 1}>', name)

def found_edges(folder:Path)->set:
    "Our calls between functions of the snippet."
    kg = build([Repository('snippet','0','unknown',folder)])
    inner = kg.entities[kg.entities.repository=='snippet'].set_index('id')
    calls = kg.triples[(kg.triples.relation=='calls')&kg.triples.status.isin(['resolved','ambiguous'])&(kg.triples.rule!='py.calls.decorated')]
    def name(id):
        row = inner.loc[id]
        return row.module if row.type in ('Class','Interface','ExceptionType') else label(row.qualified_name)   # a class body runs with its module
    prefix = f'{folder.name}.' if (folder/'__init__.py').exists() else ''
    return {(name(h).removeprefix(prefix),name(t).removeprefix(prefix)) for h,t in zip(calls['head'],calls['tail'])}

def of_snippet(edges, folder:Path)->set:
    "Those edges whose both ends are code of the snippet."
    modules = {p.relative_to(folder).with_suffix('').as_posix().replace('/','.').removesuffix('.__init__') for p in folder.rglob('*.py')}
    ours = lambda n: not n.startswith('<') and any(n==m or n.startswith(m+'.') for m in modules)
    return {(a,b) for a,b in edges if ours(a) and ours(b)}

def compared(cases:list[Path], truth:Path, edges)->dict:
    "What `edges(folder)` finds in every snippet, beside the truth."
    rows,right,wrong,missed = [],0,0,0
    for case in cases:
        folder = case.parent
        try: found = edges(folder)
        except Exception as e: found = set(); print(f'{folder}: {e}',file=sys.stderr)
        wanted = of_snippet(((a,b) for a,called in json.loads(case.read_text()).items() for b in called),folder)
        rows.append(dict(case=folder.relative_to(truth).as_posix(),exact=found==wanted,missing=sorted(wanted-found),wrong=sorted(found-wanted)))
        right,wrong,missed = right+len(found&wanted),wrong+len(found-wanted),missed+len(wanted-found)
    return dict(cases=len(rows),exact=sum(r['exact'] for r in rows),edges=right+missed,right=right,wrong=wrong,precision=round(right/max(1,right+wrong),4),recall=round(right/max(1,right+missed),4),not_exact=[r for r in rows if not r['exact']])

def pycg_edges(folder:Path, python:str)->set:
    "PyCG's calls between code of the snippet; as in its own tests the snippet is entered at `main.py`."
    found = pycg_calls([folder],python,files=[folder/'main.py'],base=folder)
    if found is None: raise ValueError('PyCG failed')
    return of_snippet(found[0],folder)

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--truth',type=Path,required=True); p.add_argument('--rival',metavar='PYTHON',default=''); p.add_argument('--json',action='store_true')
    args = p.parse_args()
    cases = sorted(args.truth.rglob('callgraph.json'))
    if not cases: sys.exit(f'no callgraph.json below {args.truth}: give the snippets folder of the benchmark')
    result = compared(cases,args.truth,found_edges)
    if args.rival: result['PyCG'] = compared(cases,args.truth,lambda folder: pycg_edges(folder,str(Path(args.rival).absolute())))
    if args.json: return print(json.dumps(result,indent=1))
    for r in result['not_exact']: print(f'{r["case"]}: missing {r["missing"]}, wrong {r["wrong"]}')
    for name,x in (('ours',result),('PyCG',result.get('PyCG'))):
        if x: print(f'{name}: {x["exact"]} of {x["cases"]} exact; precision {x["precision"]:.3f}, recall {x["recall"]:.3f} over {x["edges"]} edges')

if __name__=='__main__': main()
