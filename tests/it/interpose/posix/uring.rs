//! `io_uring` (`io_uring(7)`), by its raw calls in a script: the standard library has none for it.

use std::{io::Write as _, path::Path, process::Command};

use super::{Case, file};

/// `uring((OP, FD, ADDRESS, LENGTH, OFFSET), …)` hands in these at once, and is what each came to,
/// in the same order; the offsets are those of `linux/io_uring.h`.
const HEAD: &str = "
import ctypes,mmap,os,struct,sys
p=sys.argv[1]
FSYNC,FALLOCATE,READ,WRITE=3,17,22,23
libc=ctypes.CDLL(None,use_errno=True)
params=ctypes.create_string_buffer(120)
ring=libc.syscall(425,8,params)
if ring<0:
    print('io_uring_setup: '+os.strerror(ctypes.get_errno()),file=sys.stderr)
    sys.exit(77)
entries,completions=struct.unpack_from('2I',params)
shead,stail,smask,_,_,_,array=struct.unpack_from('7I',params,40)
chead,ctail,cmask,_,_,cqes=struct.unpack_from('6I',params,80)
sq=mmap.mmap(ring,array+entries*4)
cq=mmap.mmap(ring,cqes+completions*16,offset=0x8000000)
sqes=mmap.mmap(ring,entries*64,offset=0x10000000)
def get(ring,at): return struct.unpack_from('I',ring,at)[0]
def uring(*calls):
    tail=get(sq,stail)
    for n,(op,fd,address,length,offset) in enumerate(calls):
        at=(tail+n)&get(sq,smask)
        struct.pack_into('BBHiQQIIQ',sqes,at*64,op,0,0,fd,offset,address,length,0,n)
        struct.pack_into('I',sq,array+at*4,at)
    struct.pack_into('I',sq,stail,tail+len(calls))
    assert libc.syscall(426,ring,len(calls),len(calls),1,None,0)==len(calls),os.strerror(ctypes.get_errno())
    said=[None]*len(calls)
    for _ in calls:
        head=get(cq,chead)
        assert head!=get(cq,ctail),'fewer came back than were handed in'
        n,result=struct.unpack_from('Qi',cq,cqes+(head&get(cq,cmask))*16)
        said[n]=result
        struct.pack_into('I',cq,chead,head+1)
    return said
room=mmap.mmap(-1,8192)
place=ctypes.addressof(ctypes.c_char.from_buffer(room))
";

/// Runs a script on a file that is there, as `p`. A host without Python, or whose kernel refuses the
/// ring, proves less, and says so.
pub(in crate::interpose) fn on_ring(path: &Path, text: &str) {
    let mut python = Command::new("python3");
    let ran = python.args(["-c", &format!("{HEAD}{text}")]).arg(path).output();
    let why = match ran {
        Ok(output) if output.status.success() => return,
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(77), "{told}");
            told
        }
        Err(error) => format!("python3: {error}"),
    };
    let _ = writeln!(std::io::stderr(), "skipped: io_uring at `{}`: {why}", path.display());
}

/// Likewise, on a file of two blocks of `x`.
fn script(dir: &Path, text: &str) {
    file(dir, "f", &"x".repeat(8192));
    on_ring(&dir.join("f"), text);
}

pub(super) const CASES: &[Case] = &[
    ("io_uring writes, syncs and reads back", |dir| {
        script(
            dir,
            "fd=os.open(p,os.O_RDWR)\nroom[0:4]=b'abcd'\n\
             assert uring((WRITE,fd,place,4,4094))==[4]\nassert uring((FSYNC,fd,0,0,0))==[0]\n\
             assert os.pread(fd,6,4093)==b'xabcdx'\n\
             assert uring((READ,fd,place,8192,8190))==[2] and room[0:2]==b'xx'\n\
             assert uring((READ,fd,place,10,8192))==[0]",
        );
    }),
    ("io_uring reads and writes by O_DIRECT", |dir| {
        script(
            dir,
            "fd=os.open(p,os.O_RDWR|os.O_DIRECT)\nroom[:]=b'y'*8192\n\
             assert uring((WRITE,fd,place,4096,4096))==[4096]\nroom[:]=b'z'*8192\n\
             assert uring((READ,fd,place,8192,0))==[8192]\n\
             assert room[:]==b'x'*4096+b'y'*4096",
        );
    }),
    ("io_uring does several at once", |dir| {
        script(
            dir,
            "fd=os.open(p,os.O_RDWR)\nroom[0:8]=b'abcdefgh'\n\
             calls=[(WRITE,fd,place+n,1,n*1000) for n in range(8)]\nassert uring(*calls)==[1]*8\n\
             assert bytes(os.pread(fd,1,n*1000)[0] for n in range(8))==b'abcdefgh'",
        );
    }),
    ("io_uring appends and allocates", |dir| {
        script(
            dir,
            "fd=os.open(p,os.O_RDWR|os.O_APPEND)\nroom[0:3]=b'end'\n\
             assert uring((WRITE,fd,place,3,0))==[3]\nassert os.pread(fd,4,8191)==b'xend'\n\
             assert uring((FALLOCATE,fd,16384,0,0))==[0]\nassert os.fstat(fd).st_size==16384",
        );
    }),
    ("io_uring fails as the calls do", |dir| {
        script(
            dir,
            "fd=os.open(p,os.O_RDONLY)\nassert uring((WRITE,fd,place,1,0))==[-9]\n\
             assert uring((READ,fd,1,1,0))==[-14]\nos.close(fd)\n\
             assert uring((READ,fd,place,1,0))==[-9]",
        );
    }),
];
