"""Are calls invented between packages that have nothing to do with each other? Many packages, put into one folder as one repository.

    python benchmarks/cross_package.py FOLDER... [--json]

A FOLDER holds the top-level packages of one project (an unpacked wheel), or Java sources below `src/main/java`. A resolved or ambiguous call or instantiation counts as invented when
it leads to another project and neither of the two imports the other, not even by way of others. (A framework that calls what was handed to it is not counted.)
"""
import argparse, json, os, shutil, tempfile
from pathlib import Path
import networkx as nx
from graphmer_se.kg.build import build
from graphmer_se.parsing.corpus import Repository

os.environ.setdefault('GRAPHMER_QUIET','1')

def union(folders:list[Path], out:Path)->dict[str,str]:
    "Copy the packages of every project side by side; the project of each top-level folder."
    owner = {}
    for folder in folders:
        packages = [p for p in sorted(folder.iterdir()) if p.is_dir() and (p/'__init__.py').exists()]
        for p in packages:
            if p.name in owner: continue
            shutil.copytree(p,out/p.name,ignore=shutil.ignore_patterns('__pycache__'))
            owner[p.name] = folder.name
        for p in () if packages else sorted(folder.rglob('src/main/java')):
            shutil.copytree(p,out/folder.name,dirs_exist_ok=True)
            owner[folder.name] = folder.name
    return owner

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('folders',nargs='+',type=Path); p.add_argument('--json',action='store_true')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as d:
        owner = union(args.folders,Path(d))
        kg = build([Repository('union','0','unknown',Path(d))])
    files = dict(zip(kg.entities.id,kg.entities.file))
    project = lambda id: owner.get(files[id].split('/')[0])
    t = kg.triples
    imports = nx.DiGraph([(project(r.head),project(r.tail)) for r in t[(t.relation=='imports')&(t.status=='resolved')].itertuples()])
    reached = {n:nx.descendants(imports,n)|{n} for n in imports}
    calls = [(project(r.head),project(r.tail),r) for r in t[t.relation.isin(['calls','instantiates'])&t.status.isin(['resolved','ambiguous'])].itertuples() if files[r.tail]]
    crossing = [c for c in calls if c[0]!=c[1]]
    invented = [(a,b,r) for a,b,r in crossing if b not in reached.get(a,()) and a not in reached.get(b,())]
    found = dict(projects=len(set(owner.values())),calls=len(calls),crossing=len(crossing),invented=len(invented),share=len(invented)/max(1,len(calls)))
    if args.json: return print(json.dumps(found,indent=1))
    print(f'{found["projects"]} projects, {len(calls):,} calls, {len(crossing):,} of them into another project, {len(invented):,} invented')
    for a,b,r in invented[:20]: print(f'  {a} -> {b}: {r.file}:{r.line_start} {r.rule}')

if __name__=='__main__': main()
