"""How fast a graph is built, against the floor: tree-sitter's parse of the same files plus one query pass over them.

    python benchmarks/kg_speed.py SRC... [--workers 1 2] [--changed] [--json]

Each SRC is one repository, as for `graphmer kg build`; for a corpus give each of its folders (`data/raw/python/*/`). CPU seconds count children. The floor is measured in the same run, in one process; a build counts reading, parsing, resolving,
checking and writing, from nothing (`--full`). With `--changed` SRC is one repository: a copy of it is built, then built again after one more statement in a body of its largest file,
and after one more function there, beside the build from nothing.
"""
import argparse, json, os, resource, shutil, subprocess, sys, tempfile, time
from pathlib import Path
import tree_sitter_java, tree_sitter_python
from tree_sitter import Language, Parser, Query, QueryCursor
from graphmer_se.parsing.facts import source_files

def cpu()->float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF,resource.RUSAGE_CHILDREN))

QUERIES = {'python':'(call function: (_) @callee) (function_definition name: (identifier) @name) (class_definition name: (identifier) @name) (import_statement) @import (import_from_statement) @import',
           'java':'(method_invocation name: (identifier) @callee) (method_declaration name: (identifier) @name) (class_declaration name: (identifier) @name) (import_declaration) @import'}

def floor(folders)->dict:
    "Parse every file and run one query with the text of its captures."
    grammars = dict(python=Language(tree_sitter_python.language()),java=Language(tree_sitter_java.language()))
    parsers,cursors = {l:Parser(g) for l,g in grammars.items()},{l:QueryCursor(Query(g,QUERIES[l])) for l,g in grammars.items()}
    files = [f for folder in folders for f in source_files(folder)[0]]
    data = [(f.language,f.path.read_bytes()) for f in files]
    size,started,captures = sum(len(d) for _,d in data),cpu(),0
    for language,source in data:
        tree = parsers[language].parse(source)
        for nodes in cursors[language].captures(tree.root_node).values(): captures += sum(len(n.text) for n in nodes)>0
    return dict(files=len(files),megabytes=round(size/1e6,2),cpu_seconds=cpu()-started)

def measured_build(folders, workers:int)->dict:
    "One build in a process of its own."
    with tempfile.TemporaryDirectory() as d:
        started,begun = time.perf_counter(),cpu()
        code = (f'import json,resource,sys\nfrom graphmer_se.kg.build import build_to\nm = build_to({str(Path(d)/"kg")!r},{[str(f) for f in folders]!r},workers={workers})\n'
                'print(json.dumps(dict(m["statistics"],peak=max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF,resource.RUSAGE_CHILDREN)))))')
        done = subprocess.run([sys.executable,'-c',code],capture_output=True,text=True,env=os.environ|{'GRAPHMER_QUIET':'1'})
        if done.returncode: sys.exit(done.stderr[-3000:])
        s = json.loads(done.stdout.splitlines()[-1])
        size = sum(p.stat().st_size for p in (Path(d)/'kg').rglob('*.parquet') if '.cache' not in p.parts)
        return dict(workers=workers,wall_seconds=time.perf_counter()-started,cpu_seconds=cpu()-begun,peak_gigabytes=s['peak']*1024/1e9,triples=s['triples'],resolved=s['triples_resolved'],parquet_megabytes=size/1e6)

BODY = {'.py':(b'):\n',b'str(1).strip()\n'),'.java':(b') {\n',b'hashCode();\n')}      # what stands before a body, and a statement for it
MORE = {'.py':lambda d: d+b'\ndef one_more(x): return len(x)\n','.java':lambda d: d.rstrip()[:-1]+b'\n  void oneMore() { hashCode(); }\n}\n'}

def one_statement_more(data:bytes, ending:str)->bytes:
    "A file with one more statement in the first body of its second half."
    before,statement = BODY[ending]
    at = data.index(before,len(data)//2)
    indent = data[at+len(before):].split(b'\n',1)[0]
    return data[:at+len(before)]+indent[:len(indent)-len(indent.lstrip())]+statement+data[at+len(before):]

def measured_changes(folder:Path)->list[dict]:
    "Builds of one repository in this process: from nothing, after a change within a body, after a change of what is declared."
    from graphmer_se.kg.build import build_to
    rows = []
    with tempfile.TemporaryDirectory() as d:
        source = Path(shutil.copytree(folder,Path(d)/folder.name))
        found = source_files(source)[0]
        files,largest = len(found),max((f.path for f in found),key=lambda p: p.stat().st_size)
        def timed(what):
            started,begun = time.perf_counter(),cpu()
            resolved = build_to(Path(d)/'kg',[source])['statistics']['triples_resolved']
            rows.append(dict(source=folder.name,files=files,what=what,wall_seconds=time.perf_counter()-started,cpu_seconds=cpu()-begun,resolved=resolved))
        timed('from nothing')
        largest.write_bytes(one_statement_more(largest.read_bytes(),largest.suffix)); timed('one more statement')
        largest.write_bytes(MORE[largest.suffix](largest.read_bytes())); timed('one more function')
    return rows

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('sources',nargs='+',type=Path); p.add_argument('--workers',nargs='+',type=int,default=[1,2]); p.add_argument('--changed',action='store_true'); p.add_argument('--json',action='store_true')
    args = p.parse_args()
    if args.changed:
        rows = [r for folder in args.sources for r in measured_changes(folder)]
        if args.json: return print(json.dumps(rows,indent=1))
        for r in rows: print(f'{r["source"]} ({r["files"]:,} files), {r["what"]}: wall {r["wall_seconds"]:.2f} s, CPU {r["cpu_seconds"]:.2f} s, {r["resolved"]:,} resolved')
        return
    base = floor(args.sources)
    rows = [measured_build(args.sources,w) for w in args.workers]
    for r in rows: r |= dict(cpu_per_megabyte=r['cpu_seconds']/base['megabytes'],times_floor=r['cpu_seconds']/base['cpu_seconds'],wall_share=r['wall_seconds']/rows[0]['wall_seconds'])
    if args.json: return print(json.dumps(dict(floor=base,builds=rows),indent=1))
    print(f'{base["files"]:,} files, {base["megabytes"]:.1f} MB; floor {base["cpu_seconds"]:.2f} CPU s, {base["cpu_seconds"]/base["megabytes"]:.3f} per MB')
    for r in rows: print(f'{r["workers"]} workers: wall {r["wall_seconds"]:.2f} s ({r["wall_share"]:.2f} of one), CPU {r["cpu_seconds"]:.2f} s, {r["cpu_per_megabyte"]:.3f} per MB, {r["times_floor"]:.2f} x floor; '
                         f'peak {r["peak_gigabytes"]:.2f} GB; {r["triples"]:,} triples, {r["resolved"]:,} resolved, {r["resolved"]/r["wall_seconds"]:,.0f} resolved/s')

if __name__=='__main__': main()
