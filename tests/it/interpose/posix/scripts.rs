//! What the standard library has no calls for: locks of ranges, maps, asynchronous I/O. Scripts, in
//! processes of their own.

use std::{path::Path, process::Command};

use super::{Case, file};

/// Runs a script with the path of a file of two blocks as `p`; a host without Python proves less.
fn script(dir: &Path, text: &str) {
    file(dir, "f", &"x".repeat(8192));
    let head = "import ctypes,fcntl,mmap,os,struct,subprocess,sys\np=sys.argv[1]\n";
    let mut python = Command::new("python3");
    if let Ok(output) = python.args(["-c", &format!("{head}{text}")]).arg(dir.join("f")).output() {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Locks of ranges: `held(START, LENGTH)` says whether another process is kept out of one.
fn ranges(dir: &Path, text: &str) {
    const HEAD: &str = "
other='''import fcntl,sys
f=open(sys.argv[1],'r+b')
try: fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB,int(sys.argv[3]),int(sys.argv[2]))
except OSError: sys.exit(3)
'''
def held(start,length):
    return subprocess.run([sys.executable,'-c',other,p,str(start),str(length)]).returncode==3
f=open(p,'r+b')
";
    script(dir, &format!("{HEAD}{text}"));
}

/// Locks of open file descriptions: `ofd(FILE, KIND, START, LENGTH)` fails where one is held.
fn descriptions(dir: &Path, text: &str) {
    // F_OFD_SETLK of linux/fcntl.h
    const HEAD: &str = "
def ofd(f,kind,start,length):
    fcntl.fcntl(f,37,struct.pack('hhqqi4x',kind,0,start,length,0))
def refused(*args):
    try: ofd(*args)
    except BlockingIOError: return True
    return False
one=open(p,'r+b'); two=open(p,'r+b')
";
    script(dir, &format!("{HEAD}{text}"));
}

/// Asynchronous I/O of the kernel (`io_setup(2)`): `aio(FD, OP, BUFFER, LENGTH, OFFSET)` is what it
/// came to.
fn asynchronous(dir: &Path, text: &str) {
    const HEAD: &str = "
libc=ctypes.CDLL(None,use_errno=True)
setup,submit,events=(0,2,4) if os.uname().machine=='aarch64' else (206,209,208)
cx=ctypes.c_ulong(0)
assert libc.syscall(setup,8,ctypes.byref(cx))==0,os.strerror(ctypes.get_errno())
def aio(fd,op,buffer,length,offset):
    cb=ctypes.create_string_buffer(struct.pack('QIiHhIQQqQII',7,0,0,op,0,fd,buffer,length,offset,0,0,0),64)
    one=(ctypes.c_void_p*1)(ctypes.addressof(cb))
    assert libc.syscall(submit,cx,1,one)==1,os.strerror(ctypes.get_errno())
    event=ctypes.create_string_buffer(32)
    assert libc.syscall(events,cx,1,1,event,None)==1
    data,_,result,_=struct.unpack('QQqq',event.raw)
    assert data==7
    return result
room=mmap.mmap(-1,8192)
place=ctypes.addressof(ctypes.c_char.from_buffer(room))
";
    script(dir, &format!("{HEAD}{text}"));
}

pub(super) const CASES: &[Case] = &[
    ("a lock of a range keeps others out of that range", |dir| {
        ranges(
            dir,
            "fcntl.lockf(f,fcntl.LOCK_EX,100,50)\n\
             assert held(50,10) and held(149,1) and not held(0,50) and not held(150,10)",
        );
    }),
    ("a lock of a range reaches behind the end", |dir| {
        ranges(
            dir,
            "fcntl.lockf(f,fcntl.LOCK_EX,0,10000)\nassert held(1<<30,1) and not held(0,10)",
        );
    }),
    ("a lock of a range is given up in its middle", |dir| {
        ranges(
            dir,
            "fcntl.lockf(f,fcntl.LOCK_EX,30,0)\nfcntl.lockf(f,fcntl.LOCK_UN,10,10)\n\
             assert held(0,10) and held(20,10) and not held(10,10)",
        );
    }),
    ("a lock of a process ends with any of its descriptors", |dir| {
        ranges(
            dir,
            "fcntl.lockf(f,fcntl.LOCK_EX)\nassert held(0,1)\nopen(p,'rb').close()\n\
             assert not held(0,1)",
        );
    }),
    ("a lock of a range becomes a shared one", |dir| {
        ranges(
            dir,
            "fcntl.lockf(f,fcntl.LOCK_EX)\nfcntl.lockf(f,fcntl.LOCK_SH)\nassert held(0,1)\n\
             fcntl.lockf(f,fcntl.LOCK_UN)\nassert not held(0,1)",
        );
    }),
    ("a whole lock and a lock of a range know nothing of each other", |dir| {
        ranges(dir, "fcntl.flock(f,fcntl.LOCK_EX)\nassert not held(0,0)");
    }),
    ("a lock of a description keeps another one out", |dir| {
        descriptions(
            dir,
            "ofd(one,fcntl.F_WRLCK,0,10)\n\
             assert refused(two,fcntl.F_WRLCK,5,1) and refused(two,fcntl.F_RDLCK,5,1)\n\
             assert not refused(two,fcntl.F_WRLCK,10,5)",
        );
    }),
    ("a lock of a description outlives other descriptors", |dir| {
        descriptions(
            dir,
            "ofd(one,fcntl.F_WRLCK,0,10)\nopen(p,'rb').close()\n\
             assert refused(two,fcntl.F_WRLCK,0,1)\none.close()\n\
             assert not refused(two,fcntl.F_WRLCK,0,1)",
        );
    }),
    ("shared locks of descriptions go together", |dir| {
        descriptions(
            dir,
            "ofd(one,fcntl.F_RDLCK,0,10)\nassert not refused(two,fcntl.F_RDLCK,0,10)\n\
             assert refused(one,fcntl.F_WRLCK,0,10)",
        );
    }),
    ("a shared map shows what is written", |dir| {
        script(
            dir,
            "f=open(p,'r+b',buffering=0)\nm=mmap.mmap(f.fileno(),0)\nassert m[5000:5001]==b'x'\n\
             os.pwrite(f.fileno(),b'new',5000)\nassert m[5000:5003]==b'new'",
        );
    }),
    ("what is written into a shared map is read", |dir| {
        script(
            dir,
            "f=open(p,'r+b')\nm=mmap.mmap(f.fileno(),0)\nm[4095:4097]=b'yz'\n\
             assert os.pread(f.fileno(),4,4094)==b'xyzx'\nm.flush()\n\
             assert open(p,'rb').read()[4094:4098]==b'xyzx'",
        );
    }),
    ("two shared maps are one memory", |dir| {
        script(
            dir,
            "f=open(p,'r+b')\ng=open(p,'r+b')\na=mmap.mmap(f.fileno(),0)\nb=mmap.mmap(g.fileno(),0)\n\
             a[100:103]=b'abc'\nassert b[100:103]==b'abc'",
        );
    }),
    ("a private map changes nothing", |dir| {
        script(
            dir,
            "f=open(p,'r+b')\nm=mmap.mmap(f.fileno(),0,flags=mmap.MAP_PRIVATE,\
             prot=mmap.PROT_READ|mmap.PROT_WRITE)\nm[0:3]=b'abc'\n\
             assert m[0:3]==b'abc' and open(p,'rb').read(3)==b'xxx'",
        );
    }),
    ("a map outlives its descriptor and its name", |dir| {
        script(
            dir,
            "f=open(p,'r+b')\nm=mmap.mmap(f.fileno(),0)\nf.close()\nos.unlink(p)\n\
             m[0:3]=b'abc'\nassert m[0:4]==b'abcx'\nm.flush()",
        );
    }),
    ("a file for reading has no shared map for writing", |dir| {
        script(
            dir,
            "f=open(p,'rb')\ntry: mmap.mmap(f.fileno(),0)\nexcept PermissionError: sys.exit(0)\n\
             sys.exit(1)",
        );
    }),
    ("asynchronous writes and reads", |dir| {
        asynchronous(
            dir,
            "f=open(p,'r+b')\nroom[0:4]=b'abcd'\nassert aio(f.fileno(),1,place,4,4094)==4\n\
             assert open(p,'rb').read()[4093:4099]==b'xabcdx'\n\
             assert aio(f.fileno(),0,place,8192,8190)==2",
        );
    }),
    ("asynchronous direct writes and reads", |dir| {
        asynchronous(
            dir,
            "fd=os.open(p,os.O_RDWR|os.O_DIRECT)\nroom[:]=b'y'*8192\n\
             assert aio(fd,1,place,4096,4096)==4096\nroom[:]=b'z'*8192\n\
             assert aio(fd,0,place,8192,0)==8192\nassert room[:]==b'x'*4096+b'y'*4096",
        );
    }),
];
