"""How right the calls of Java are: compile a project with javac, read the invoke instructions with `javap -c`, and compare.

    python benchmarks/java_oracle.py ROOT... [--classpath PATH] [--json] [--wrong N]

ROOT is a source root that compiles alone (`…/src/main/java`). A call in the class files names the class on which it is made; the method that is meant is looked up from there, as
the virtual machine does it. Compared are: calls of methods and constructors that the project writes down (method references included), classes it instantiates, and who extends,
implements and overrides what, and which exceptions they declare and catch, which fields they read and write (constants that the compiler copies into the code left out; the labels of a
switch over an enumeration are no reads in the class files, and count against us). An instruction belongs to the method of the source that holds its line, a lambda's body to the method around it. What we call `ambiguous`, the methods
that may override the one that is named, is in neither number; dispatch has no truth in the class files.
"""
import argparse, json, os, re, subprocess, sys, tempfile
from collections import Counter, defaultdict
from pathlib import Path
from graphmer_se.kg.build import build
from graphmer_se.parsing.corpus import Repository

os.environ.setdefault('GRAPHMER_QUIET','1')         # the figures, without a bar for each graph

def compiled(root:Path, out:Path, classpath:str):
    "Compile every file below `root`."
    files = out/'files.txt'
    files.write_text('\n'.join(f'"{p}"' for p in sorted(root.rglob('*.java')) if p.name!='module-info.java'))
    done = subprocess.run(['javac','-g','-proc:none','-nowarn','-encoding','UTF-8','-d',str(out/'classes'),*(['-cp',classpath] if classpath else []),f'@{files}'],capture_output=True,text=True)
    if done.returncode: sys.exit(f'{root} does not compile alone:\n{done.stderr[-3000:]}')

def bare(text:str)->str:
    "A type without its arguments."
    while '<' in text:
        shorter = re.sub(r'<[^<>]*>','',text)
        if shorter==text: break
        text = shorter
    return text

class Method:
    def __init__(self, owner, name): self.owner,self.name,self.descriptor,self.flags,self.code,self.lines,self.throws,self.caught = owner,name,'','',[],[],[],[]
    def line(self, offset:int)->int: return max((x for x in self.lines if x[1]<=offset),key=lambda x: x[1],default=(0,0))[0]

class ClassFile:
    def __init__(self): self.name,self.source,self.super,self.interfaces,self.methods,self.bootstrap,self.flags,self.fields = '','','',[],[],[],'',{}      # fields: name -> is it a constant

HEADER = re.compile(r'^(?:[\w ]*\b)?(?:class|interface|enum) ([\w.$]+)(.*)$')

def read_classes(folder:Path)->dict[str,ClassFile]:
    "What `javap` prints of the class files below `folder`."
    files,found = sorted(folder.rglob('*.class')),{}
    for at in range(0,len(files),200):
        text = subprocess.run(['javap','-p','-c','-l','-s','-v',*map(str,files[at:at+200])],capture_output=True,text=True,check=True).stdout
        for part in re.split(r'(?m)^Classfile ',text)[1:]:
            c = read_class(part.splitlines())
            found[c.name] = c
    return found

def read_class(lines:list[str])->ClassFile:
    c,method,section = ClassFile(),None,''
    for l in lines:
        if m := re.match(r'\s+this_class: #\d+\s+// "?([^"]+)"?',l): c.name = m.group(1)
        elif m := re.match(r'\s+super_class: #\d+\s+// "?([^"]+)"?',l): c.super = m.group(1)
        elif m := re.match(r'SourceFile: "(.+)"',l): c.source = m.group(1)
        elif l.startswith('  flags:') and not c.flags: c.flags = l
        elif not l.startswith(' ') and (m := HEADER.match(bare(l))):
            rest = m.group(2)
            listed = re.search(r'(?:implements|extends) ([\w.$, ]+)$' if ' interface ' in f' {bare(l)}' else r'implements ([\w.$, ]+)$',rest)
            c.interfaces = [x.strip().replace('.','/') for x in listed.group(1).split(',')] if listed else []
        elif l.startswith('BootstrapMethods:'): section = 'bootstrap'
        elif section=='bootstrap' and re.match(r'  \d+: #',l): c.bootstrap.append([])
        elif section=='bootstrap' and l.startswith('      #') and c.bootstrap: c.bootstrap[-1].append(l.strip())
        elif re.match(r'  \S.*;$',l):          # a member begins
            section,method = 'member',Method(c,named(l,c)) if '(' in l or l.strip()=='static {};' else None
            if method is not None: c.methods.append(method)
            else:
                field = l.split('=')[0].strip(' ;').split()[-1]
                c.fields[field] = False
        elif section=='member' and method is None and l.startswith('    ConstantValue: '): c.fields[field] = True
        elif method is None: continue
        elif l.startswith('    descriptor: '): method.descriptor = l.split(': ',1)[1].strip()
        elif l.startswith('    flags: '): method.flags = l
        elif l.startswith('      throws '): method.throws = [x.strip().replace('.','/') for x in l.split('throws ',1)[1].split(',')]
        elif m := re.match(r'\s+(\d+)\s+\d+\s+\d+\s+Class (\S+)$',l): method.caught.append((int(m.group(1)),m.group(2).strip('"')))
        elif m := re.match(r'\s+line (\d+): (\d+)',l): method.lines.append((int(m.group(1)),int(m.group(2))))
        elif m := re.match(r'\s+(\d+): (invoke\w+|new|(?:get|put)(?:field|static))\s+#\d+(?:,\s+\d+)?\s+// (.*)$',l): method.code.append((int(m.group(1)),m.group(2),m.group(3).strip()))
    return c

def named(line:str, c:ClassFile)->str:
    if line.strip()=='static {};': return '<clinit>'
    name = bare(line).split('(')[0].split()[-1]
    return '<init>' if name==c.name.replace('/','.') else name

# ---- the truth

def resolved(classes:dict, owner:str, name:str, descriptor:str):
    "The method of the project that a reference to `owner.name` means: the class, its superclasses, then interfaces."
    seen,pending = set(),[]
    here = owner
    while here in classes:
        c = classes[here]
        for m in c.methods:
            if m.name==name and m.descriptor==descriptor: return behind(classes,m)
        if name=='<init>': return None
        pending += c.interfaces
        here = c.super
    while pending:
        i = pending.pop(0)
        if i in seen or i not in classes: continue
        seen.add(i)
        for m in classes[i].methods:
            if m.name==name and m.descriptor==descriptor: return behind(classes,m)
        pending += classes[i].interfaces
    return None

def behind(classes:dict, m:Method):
    "The method that the source has, for a bridge that the compiler made."
    if 'ACC_BRIDGE' not in m.flags: return m
    for _,instruction,text in m.code:
        for owner,name,descriptor in targets_of(m.owner,instruction,text):
            if name==m.name and (owner,descriptor)!=(m.owner.name,m.descriptor): return resolved(classes,owner,name,descriptor)
    return m

FIELD = re.compile(r'Field (?:"?([\w/$]+)"?\.)?"?([\w$]+)"?:')

def field_of(classes:dict, c:ClassFile, text:str):
    "The class of the project that declares the field which an instruction names, and its name; `None` for constants and for what is none of the source."
    owner,name = FIELD.match(text).groups()
    pending = [owner or c.name]
    while pending:
        here = pending.pop(0)
        if here not in classes: continue
        if name in classes[here].fields: return None if '$' in name else (here,name)
        pending += [*classes[here].interfaces,classes[here].super]

REFERENCE = re.compile(r'(?:Interface)?Method (?:"?([\w/$\[;]+)"?\.)?"?([\w$<>]+)"?:(\(.*)$')

def targets_of(c:ClassFile, instruction:str, text:str):
    "(owner, name, descriptor) of what an instruction calls."
    if instruction=='invokedynamic':
        number = int(re.search(r'#(\d+):',text).group(1))
        for line in c.bootstrap[number] if number<len(c.bootstrap) else ():
            m = re.search(r'REF_\w+ "?([\w/$\[;]+)"?\."?([\w$<>]+)"?:(\(.*)$',line)
            if m and not m.group(1).startswith('java/lang/invoke') and not m.group(2).startswith('lambda$'): yield m.groups()
    elif m := REFERENCE.match(text): yield m.group(1) or c.name,m.group(2),m.group(3)

def through_accessors(classes:dict, targets):
    "What is called through the accessors that the compiler makes for inner classes (`access$000`)."
    for owner,name,descriptor in targets:
        accessor = next((m for m in classes[owner].methods if m.name==name and m.descriptor==descriptor),None) if name.startswith('access$') and owner in classes else None
        if accessor is None: yield owner,name,descriptor
        else:
            for _,instruction,text in accessor.code: yield from targets_of(classes[owner],instruction,text)

# ---- ours, found again by lines and names

class Source:
    "Our entities of one source root: classes and methods by file."
    def __init__(self, root:Path):
        self.kg = build([Repository('project','0','unknown',root)])
        e = self.kg.entities[self.kg.entities.repository=='project']
        self.rows = {r.id:r for r in e.itertuples()}
        self.by_file = defaultdict(list)
        for r in e.itertuples():
            if r.type in ('Class','Interface','ExceptionType','Method','Test'): self.by_file[r.file].append(r)
        self.owner = {}
        for t in self.kg.triples[self.kg.triples.relation.isin(['declares','contains'])].itertuples(): self.owner[t.tail] = t.head
        self.members = defaultdict(list)
        for t in self.kg.triples[self.kg.triples.relation=='declares'].itertuples():
            if self.rows[t.tail].type in ('Method','Test'): self.members[t.head].append(self.rows[t.tail])

    def classes(self, file:str): return [r for r in self.by_file[file] if r.type in ('Class','Interface','ExceptionType')]

    def class_of(self, c:ClassFile):
        "Our class for a class file."
        package,_,binary = c.name.rpartition('/')
        file = f'{package}/{c.source}' if package else c.source
        parts = binary.split('$')
        path = '.'.join([*package.split('/'),*parts]) if package else '.'.join(parts)
        exact = [r for r in self.classes(file) if r.qualified_name==path]
        if exact: return exact[0]
        lines = [l for m in c.methods for l,_ in m.lines]
        if not lines: return None
        name = re.sub(r'^\d+','',parts[-1]) or '<anonymous>'
        around = [r for r in self.classes(file) if r.name==name and r.line_start<=min(lines) and max(lines)<=r.line_end]
        return min(around,key=lambda r: r.byte_end-r.byte_start,default=None)

    def method_of(self, row, m:Method):
        "Our method for a method of a class file; `None` where the source has none."
        name = row.name if m.name=='<init>' else m.name
        found = [r for r in self.members[row.id] if r.name==name]
        lines = [l for l,_ in m.lines]
        if lines: found = [r for r in found if r.line_start<=lines[-1]<=r.line_end and (m.name=='<init>' or r.line_start<=min(lines) and max(lines)<=r.line_end)]
        if len(found)>1 or not lines:
            types = [t.replace('/','.').split('.')[-1].split('$')[-1] for t in simple_types(m.descriptor)]
            shapes = [(r,[t.split('.')[-1] for t in r.qualified_name[r.qualified_name.rindex('(')+1:].split(')')[0].split(',')]) for r in found]
            fitting = [r for r,s in shapes if [x for x in s if x]==types[-len([x for x in s if x]) or len(types):]] if m.name=='<init>' else [r for r,s in shapes if [x for x in s if x]==types]
            if not fitting:          # type variables stand for anything; the one that says most
                exact = lambda s: sum(x==t for x,t in zip(s,types))
                fitting = [(r,s) for r,s in shapes if len([x for x in s if x])==len(types) and all(x==t or re.fullmatch(r'[A-Z]\w?(\[\])*',x) for x,t in zip(s,types))]
                fitting = [r for r,s in fitting if exact(s)==max(exact(x) for _,x in fitting)]
            found = fitting or ([] if m.name=='<init>' and not lines else found)
        return found[0] if len(found)==1 else None

    def at(self, file:str, line:int, inside, but=None)->str:
        "The innermost method or class that holds a line, inside a class; not the class `but`."
        around = [r for r in self.by_file[file] if r.line_start<=line<=r.line_end and inside.byte_start<=r.byte_start and r.byte_end<=inside.byte_end and r is not but]
        if but is not None: around = [r for r in around if not (but.byte_start<=r.byte_start and r.byte_end<=but.byte_end)]
        return min(around,key=lambda r: r.byte_end-r.byte_start,default=inside).id

def simple_types(descriptor:str)->list[str]:
    names = dict(zip('BCDFIJSZV',('byte','char','double','float','int','long','short','boolean','void')))
    found = []
    for dims,base,cls in re.findall(r'(\[*)(?:([BCDFIJSZ])|L([^;]+);)',descriptor.split(')')[0][1:]): found.append((names[base] if base else cls)+'[]'*len(dims))
    return found

def compare(ours:set, truth:set)->dict:
    "Precision and recall; of nothing they are 1."
    return dict(ours=len(ours),truth=len(truth),both=len(ours&truth),precision=len(ours&truth)/len(ours) if ours else 1.0,recall=len(ours&truth)/len(truth) if truth else 1.0)

ANYTHING = ('java.lang.Throwable','java.lang.Exception')      # what is left of a type variable, and what the compiler catches to close and to unlock

def measured(root:Path, classpath:str, wrong:int)->dict:
    with tempfile.TemporaryDirectory() as d:
        out = Path(d)
        compiled(root,out,classpath)
        classes = read_classes(out/'classes')
    s = Source(root)
    rows = {n:s.class_of(c) for n,c in classes.items()}
    methods = {}
    for n,c in classes.items():
        for m in c.methods:
            if rows[n] is not None and not ('ACC_SYNTHETIC' in m.flags or m.name=='<clinit>'): methods[id(m)] = s.method_of(rows[n],m)
    calls,created,callers,read,written,thrown,caught = set(),set(),set(),set(),set(),set(),set()
    called_so = lambda n: rows[n].qualified_name if rows.get(n) is not None else n.replace('/','.').replace('$','.')
    fields = {(s.owner.get(i),r.name):i for i,r in s.rows.items() if r.type=='Variable'}
    constants = {fields.get((rows[n].id,f)) for n,c in classes.items() if rows[n] is not None for f,constant in c.fields.items() if constant}
    for n,c in classes.items():
        row = rows[n]
        if row is None: continue
        file = row.file
        for m in c.methods:
            if 'ACC_BRIDGE' in m.flags or m.name in ('$values','$deserializeLambda$') or m.name.startswith('access$'): continue
            mine = methods.get(id(m)) if m.name!='<init>' else None
            if id(m) in methods and methods[id(m)] is not None: thrown |= {(methods[id(m)].id,called_so(t)) for t in m.throws}
            for offset,t in m.caught:
                head = mine.id if mine is not None else s.at(file,m.line(offset),row)
                if s.rows[head].type in ('Method','Test'): caught.add((head,called_so(t)))
            for offset,instruction,text in m.code:
                line,created_here = m.line(offset),rows.get(text.removeprefix('class ').strip('"')) if instruction=='new' else None
                head = mine.id if mine is not None else s.at(file,line,row,created_here if created_here is not None and created_here.name=='<anonymous>' else None)
                callers.add(head)
                if instruction[:3] in ('get','put'):
                    found = field_of(classes,c,text)
                    target = fields.get((rows[found[0]].id,found[1])) if found and rows.get(found[0]) is not None else None
                    if target is not None and m.name!='<clinit>' and s.rows[head].type in ('Method','Test'): (read if instruction[:3]=='get' else written).add((head,target))
                    continue
                if created_here is not None: created.add((head,created_here.id))
                if instruction=='new': continue
                for owner,name,descriptor in through_accessors(classes,targets_of(c,instruction,text)):
                    if instruction=='invokedynamic' and name=='<init>' and rows.get(owner) is not None: created.add((head,rows[owner].id))
                    found = resolved(classes,owner,name,descriptor)
                    target = methods.get(id(found)) if found is not None else None
                    if target is not None: calls.add((head,target.id))
    t = s.kg.triples
    bodies = t[t['head'].isin(callers)]
    called = bodies[(bodies.relation=='calls')&(bodies.status=='resolved')]
    ours = set(zip(called['head'],called['tail']))
    new = bodies[(bodies.relation=='instantiates')&(bodies.status=='resolved')]
    result = dict(root=root.name if root.name!='java' else root.parents[2].name,classes=len(classes),unmapped=sum(r is None for r in rows.values()),calls=compare(ours,calls),
                  unresolved=int(((bodies.relation=='calls')&(bodies.status=='unresolved')).sum()),ambiguous=int(((bodies.relation=='calls')&(bodies.status=='ambiguous')&(bodies.rule!='java.calls.dispatch')).sum()))
    known = set(fields.values())-constants
    touched = lambda relation: {(h,x) for h,x,r in zip(bodies['head'],bodies['tail'],bodies.relation) if r==relation and x in known}
    names = dict(zip(s.kg.entities.id,s.kg.entities.qualified_name))
    told = lambda rows: {(h,names[x]) for h,x in zip(rows['head'],rows['tail']) if x in names}
    ours_caught,declared = told(bodies[bodies.relation=='catches']),told(t[t.rule=='java.raises.declared'])
    pairs = hierarchy(s,classes,rows,methods)|dict(throws=(declared,{x for x in thrown if x[1] not in ANYTHING or x in declared}),catches=(ours_caught,{x for x in caught if x[1] not in ANYTHING or x in ours_caught}))|dict(reads=(touched('reads_from'),read-{p for p in read if p[1] in constants}),writes=(touched('writes_to'),written))|dict(instantiates=(set(zip(new['head'],new['tail'])),created))
    result |= {k:compare(*p) for k,p in pairs.items()}
    if wrong:
        text = lambda pair: ' -> '.join(s.rows[x].qualified_name if x in s.rows else x for x in pair)
        rule = {(r.head,r.tail):r.rule for r in called.itertuples()}
        print(f'-- {result["root"]}: ours and not theirs'); [print('  ',rule[p],text(p)) for p in sorted(ours-calls,key=text)[:wrong]]
        print('-- theirs and not ours'); [print('  ',text(p)) for p in sorted(calls-ours,key=text)[:wrong]]
        for k in ('instantiates','extends','implements','overrides','reads','writes','throws','catches'):
            print(f'-- {k}, ours and not theirs'); [print('  ',text(p)) for p in sorted(pairs[k][0]-pairs[k][1],key=text)[:wrong]]
            print(f'-- {k}, theirs and not ours'); [print('  ',text(p)) for p in sorted(pairs[k][1]-pairs[k][0],key=text)[:wrong]]
        print('   by rule:',Counter(rule[p] for p in ours-calls))
    return result

def hierarchy(s:Source, classes:dict, rows:dict, methods:dict)->dict:
    "Who extends, implements and overrides what."
    extends,implements,overrides = set(),set(),set()
    for n,c in classes.items():
        if rows[n] is None: continue
        if rows.get(c.super) is not None and 'ACC_INTERFACE' not in c.flags: extends.add((rows[n].id,rows[c.super].id))
        for i in c.interfaces:
            if rows.get(i) is not None: (extends if 'ACC_INTERFACE' in c.flags else implements).add((rows[n].id,rows[i].id))
        for m in c.methods:
            if any(f in m.flags for f in ('ACC_STATIC','ACC_PRIVATE','ACC_SYNTHETIC')) or m.name.startswith('<') or methods.get(id(m)) is None: continue
            bridges = {b.descriptor for b in c.methods if b.name==m.name and 'ACC_BRIDGE' in b.flags and any(f'{m.name}:{m.descriptor}' in text for *_,text in b.code)}
            above = next_overridden(classes,c,m.name,{m.descriptor,*bridges},methods)
            if above is not None: overrides.add((methods[id(m)].id,methods[id(above)].id))
    t = s.kg.triples[s.kg.triples.status=='resolved']
    pairs = lambda relation: {(r.head,r.tail) for r in t[t.relation==relation].itertuples() if r.head in s.rows}
    return dict(extends=(pairs('inherits_from'),extends),implements=(pairs('implements'),implements),overrides=(pairs('overrides'),overrides))

def next_overridden(classes, c:ClassFile, name:str, descriptors:set, methods:dict):
    "The nearest method of the project above, superclasses first, that a method overrides: same descriptor, or one for which the compiler made a bridge."
    order = []
    here,interfaces = c.super,list(c.interfaces)
    while here in classes: order.append(here); interfaces += classes[here].interfaces; here = classes[here].super
    while interfaces:
        i = interfaces.pop(0)
        if i in classes and i not in order: order.append(i); interfaces += classes[i].interfaces
    parameters = {d.split(')')[0] for d in descriptors}
    for n in order:
        for m in classes[n].methods:
            if m.name==name and m.descriptor.split(')')[0] in parameters and not any(f in m.flags for f in ('ACC_STATIC','ACC_PRIVATE','ACC_SYNTHETIC')) and methods.get(id(m)) is not None: return m
    return None

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('roots',nargs='+',type=Path); p.add_argument('--classpath',default=''); p.add_argument('--json',action='store_true'); p.add_argument('--wrong',type=int,default=0)
    args = p.parse_args()
    results = [measured(r.resolve(),args.classpath,args.wrong) for r in args.roots]
    if args.json: return print(json.dumps(results,indent=1))
    for r in results:
        print(f'{r["root"]}: {r["classes"]} classes, {r["unmapped"]} of them not found again; {r["unresolved"]} calls unresolved, {r["ambiguous"]} ambiguous')
        for k in ('calls','instantiates','extends','implements','overrides','reads','writes','throws','catches'):
            x = r[k]
            print(f'  {k:13} precision {x["precision"]:.4f}, recall {x["recall"]:.4f} ({x["ours"]:,} ours, {x["truth"]:,} in the class files)')

if __name__=='__main__': main()
