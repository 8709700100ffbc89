//! A world that answers as the helper and the engine would, for unit tests of faults, probes and
//! volumes. Never stands in for proof that a fault works.

mod engine;
mod interposed;
mod link;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use futures_util::future::{self, BoxFuture, FutureExt as _};
pub(crate) use interposed::IoWorld;
pub(crate) use link::Keeper;
use tokio_util::sync::CancellationToken;

use super::{Cx, Site, SiteVolume};
use crate::{
    helper::HelperError,
    ledger::LedgerReport,
    protocol::{
        Access, AccessFacts, ArchiveFacts, ClockFacts, Dev, Entry, EventFacts, FileFacts, FsFacts,
        HttpReply, Init, InnerEngineFacts, IoFacts, IoLimits, LabelFacts, LinkState, LoadCall,
        LoadStats, LoopFacts, MemoryFacts, MountFacts, NetFacts, OpenFile, OtherUser, Pace,
        PaceTrial, PageFacts, Place, ProcessFacts, QuotaFacts, QuotaGroup, Read, Reading,
        StartTrial, TimesFacts, TreeFacts, Trial, UserFacts, WriterFacts,
    },
    runtime::{
        ContainerFacts, ContainerNetwork, ExecOutput, Health, MemoryLimit, RestartPolicy,
        Result as RuntimeResult, State, VolumeSpec,
    },
    volumes,
};

/// What there is to see.
pub(crate) struct World {
    /// The container, or why it cannot be inspected.
    pub(crate) container: RuntimeResult<ContainerFacts>,
    /// Its init.
    pub(crate) init: Init,
    /// Mounts by mount point, bottom first.
    pub(crate) mounts: BTreeMap<String, Vec<MountFacts>>,
    /// The filesystem under every path.
    pub(crate) fs: FsFacts,
    /// Files by path.
    pub(crate) files: BTreeMap<String, FileFacts>,
    /// What lies beneath files and processes.
    pub(crate) beneath: Beneath,
    /// Trees by path.
    pub(crate) trees: BTreeMap<String, TreeFacts>,
    /// Microseconds until a change comes back.
    pub(crate) answers_us: Option<u64>,
    /// What is in the page cache.
    pub(crate) pages: PageFacts,
    /// What limits I/O.
    pub(crate) io: IoFacts,
    /// How fast it is.
    pub(crate) ops_per_second: u64,
    /// Archives that match every pattern.
    pub(crate) archives: Vec<ArchiveFacts>,
    /// Descriptors open for writing.
    pub(crate) writers: u64,
    /// Errno of creating, writing, linking.
    pub(crate) create: Option<&'static str>,
    /// Errno of writing.
    pub(crate) write: Option<&'static str>,
    /// Errno of writing with the init's own credentials, and without its capabilities.
    pub(crate) access: [Option<&'static str>; 2],
    /// Errno of watching, as the subject's user.
    pub(crate) inotify: Option<&'static str>,
    /// What is told of a change.
    pub(crate) events: EventFacts,
    /// The quota of the filesystem.
    pub(crate) quota: Option<QuotaFacts>,
    /// The one above it.
    pub(crate) parent_quota: Option<QuotaFacts>,
    /// The subject's user.
    pub(crate) user: UserFacts,
    /// Errno of linking.
    pub(crate) link: Option<&'static str>,
    /// What its network namespace has.
    pub(crate) net: NetFacts,
    /// How every connection goes.
    pub(crate) connect: Trial,
    /// The answer to every request.
    pub(crate) http: Result<HttpReply, String>,
    /// The container's memory.
    pub(crate) memory: MemoryFacts,
    /// What runs in the container.
    pub(crate) processes: Vec<ProcessFacts>,
    /// The container's output.
    pub(crate) logs: Vec<u8>,
    /// What a program leaves.
    pub(crate) exec: RuntimeResult<ExecOutput>,
    /// The engine that runs in it.
    pub(crate) inner: Inner,
    /// How the load is going.
    pub(crate) stats: LoadStats,
    /// What the ledger came to.
    pub(crate) ledger: Result<LedgerReport, String>,
    /// Every call to the load.
    pub(crate) load_calls: Vec<LoadCall>,
    /// Every entry applied.
    pub(crate) applied: Vec<Entry>,
    /// Every volume created.
    pub(crate) volumes: Vec<VolumeSpec>,
    /// The helper answers with this instead.
    pub(crate) helper_error: Option<HelperError>,
    /// The helper's own side.
    pub(crate) keeper: Keeper,
}

/// What lies beneath files and processes.
#[derive(Default)]
pub(crate) struct Beneath {
    /// When the files of every place were used.
    pub(crate) times: TimesFacts,
    /// The wall clocks of every process.
    pub(crate) clock: ClockFacts,
    /// The inode that every file has in the upper layer.
    pub(crate) upper: Option<u64>,
    /// The label of every path.
    pub(crate) label: LabelFacts,
    /// Who else uses every filesystem.
    pub(crate) others: Vec<OtherUser>,
    /// Pages that come into the cgroup from one look at it to the next.
    pub(crate) pages_per_look: u64,
    /// Loop devices of the run.
    pub(crate) loops: Vec<LoopFacts>,
    /// An interposer.
    pub(crate) interposed: IoWorld,
}

impl Beneath {
    fn answer(&self, read: &Read) -> Reading {
        match read {
            Read::Times { .. } => Reading::Times(self.times.clone()),
            Read::Clock { .. } => Reading::Clock(self.clock.clone()),
            Read::Upper(_) => Reading::Upper(self.upper),
            Read::Label(_) => Reading::Label(self.label.clone()),
            Read::Others { .. } => Reading::Others(self.others.clone()),
            other => self.interposed.answer(other).unwrap_or(Reading::Nothing),
        }
    }
}

static NO_ATTACHED: BTreeMap<String, ContainerFacts> = BTreeMap::new();

/// The world behind both traits.
pub(crate) struct Fake {
    world: Mutex<World>,
    lost: CancellationToken,
}

/// An engine in the container.
pub(crate) struct Inner {
    /// Its process, and what runs on it.
    pub(crate) engine: InnerEngineFacts,
    /// How a start on it goes.
    pub(crate) started: StartTrial,
}

impl Default for Inner {
    fn default() -> Self {
        let process = Some(Init { pid: 140, start_time: 6000 });
        let engine = InnerEngineFacts { process, running: Ok(1) };
        Self { engine, started: Ok(120_000) }
    }
}

impl Default for Fake {
    fn default() -> Self {
        Self { world: Mutex::default(), lost: CancellationToken::new() }
    }
}

impl Default for World {
    fn default() -> Self {
        Self {
            container: Ok(container()),
            init: Init { pid: 100, start_time: 5000 },
            mounts: root_and_data(),
            fs: fs("ext4"),
            files: BTreeMap::new(),
            beneath: Beneath::default(),
            trees: BTreeMap::new(),
            answers_us: Some(100),
            pages: PageFacts::default(),
            io: IoFacts { device: None, limits: IoLimits::default() },
            ops_per_second: 100_000,
            archives: Vec::new(),
            writers: 0,
            create: None,
            write: None,
            link: None,
            inotify: None,
            events: EventFacts { errno: None, seen: vec!["CREATE".into()] },
            quota: None,
            parent_quota: None,
            user: UserFacts { uid: 4711, gid: 4711, own_namespace: false, shared_with: None },
            net: net(&["lo", "eth0"], &["127.0.0.1", "172.30.0.2"]),
            connect: Trial { errno: None },
            access: [None, None],
            http: Err("connection refused".into()),
            memory: memory(),
            processes: vec![process(100, "/agent serve")],
            logs: Vec::new(),
            exec: Ok(ExecOutput { exit_code: 0, stdout: String::new(), stderr: String::new() }),
            inner: Inner::default(),
            stats: LoadStats::default(),
            ledger: Ok(LedgerReport::default()),
            load_calls: Vec::new(),
            applied: Vec::new(),
            volumes: Vec::new(),
            helper_error: None,
            keeper: Keeper::default(),
        }
    }
}

fn root_and_data() -> BTreeMap<String, Vec<MountFacts>> {
    [("/", "overlay"), ("/data", "ext4")]
        .map(|(path, fs_type)| (path.to_owned(), vec![mount(path, fs_type)]))
        .into()
}

fn memory() -> MemoryFacts {
    MemoryFacts {
        limit: Some(128 << 20),
        used: 20 << 20,
        cache: 4 << 20,
        pages_in: 1000,
        oom_kills: 0,
        oom_score: 0,
    }
}

/// A process; the one with pid 100 is the container's init.
pub(crate) fn process(pid: u32, command: &str) -> ProcessFacts {
    let process = Init { pid, start_time: 50 * u64::from(pid) };
    ProcessFacts { process, command: command.into(), oom_score: 0 }
}

impl Fake {
    /// The world, to look at or to change.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// What a fault may use at this site.
    pub(crate) fn cx<'a>(&'a self, site: &'a Site) -> Cx<'a> {
        Cx {
            runtime: self,
            helper: self,
            site,
            run: "r1",
            host_wide: false,
            attached: false,
            all_attached: &NO_ATTACHED,
            share: 1.0,
            first: None,
            kept: false,
            traced: false,
            seed: 7,
        }
    }
}

/// A running container.
pub(crate) fn container() -> ContainerFacts {
    ContainerFacts {
        id: "c1".into(),
        name: "agent".into(),
        state: State::Running,
        pid: 100,
        exit_code: 0,
        oom_killed: false,
        restarts: 0,
        started_at: "2024-05-01T10:00:00Z".into(),
        health: Health::None,
        checked: None,
        next_check_ms: None,
        stop_grace_ms: None,
        goes_when_ended: false,
        restart: RestartPolicy::No,
        restart_attempts: None,
        memory: Some(MemoryLimit { memory: 128 << 20, with_swap: 128 << 20 }),
        image: "sha256:0".into(),
        mounts: Vec::new(),
        networks: vec![network("default", "172.30.0.2")],
    }
}

/// Its place on a network of the run.
pub(crate) fn network(name: &str, address: &str) -> ContainerNetwork {
    ContainerNetwork {
        id: format!("id-{name}"),
        name: format!("keelhaul-r1-{name}"),
        address: address.into(),
        gateway: "172.30.0.1".into(),
        aliases: vec!["agent".into()],
    }
}

/// A path in it.
pub(crate) fn place(path: &str) -> Place {
    Place { container: "c1".into(), pid: 100, path: path.into(), host_path: None }
}

/// A site on a volume mounted at `/data`, written as in a scenario: `ext4: { size: 64MiB }`.
pub(crate) fn site(path: &str, volume: &str) -> Site {
    let volume =
        SiteVolume { name: "data".into(), spec: volume_spec(volume), mount_point: "/data".into() };
    Site { service: "agent".into(), place: place(path), volume: Some(volume), along: Vec::new() }
}

/// A site on the container's own layer.
pub(crate) fn bare(path: &str) -> Site {
    Site { service: "agent".into(), place: place(path), volume: None, along: Vec::new() }
}

/// A volume as a scenario writes it.
pub(crate) fn volume_spec(yaml: &str) -> volumes::VolumeSpec {
    serde_saphyr::from_str(yaml).unwrap()
}

/// A writable mount with an id that follows from its path.
pub(crate) fn mount(path: &str, fs_type: &str) -> MountFacts {
    MountFacts {
        id: 10 + path.len() as u64,
        dev: DEV,
        root: "/".into(),
        mount_point: path.into(),
        options: vec!["rw".into(), "relatime".into()],
        fs_type: fs_type.into(),
        source: fs_type.into(),
        super_options: vec!["rw".into()],
    }
}

/// The superblock of everything.
pub(crate) const DEV: Dev = Dev { major: 7, minor: 3 };

/// A filesystem with room, not the host's.
pub(crate) fn fs(fs_type: &str) -> FsFacts {
    FsFacts {
        dev: DEV,
        fs_type: fs_type.into(),
        bytes_total: 64 << 20,
        bytes_free: 48 << 20,
        bytes_available: 44 << 20,
        inodes_total: 512,
        inodes_free: 500,
        read_only: false,
        is_host: false,
    }
}

/// A plain file with this inode and number of names.
pub(crate) fn file(inode: u64, links: u64) -> FileFacts {
    FileFacts {
        kind: "file".into(),
        size: 5,
        mode: 0o644,
        uid: 0,
        gid: 0,
        link: LinkState { dev: DEV, inode, links },
        mtime_ns: 0,
        born_ns: None,
        sha256: Some("ab".repeat(32)),
        content: Some("hello".into()),
    }
}

/// A network namespace with these interfaces and addresses.
pub(crate) fn net(interfaces: &[&str], addresses: &[&str]) -> NetFacts {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    NetFacts { interfaces: owned(interfaces), addresses: owned(addresses) }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    future::ready(value).boxed()
}

fn writers(count: u64) -> WriterFacts {
    let path = "/data/log".into();
    WriterFacts { count, sample: vec![OpenFile { pid: 101, command: "specimen".into(), path }] }
}

fn tried(errno: Option<&str>) -> Reading {
    Reading::Tried(Trial { errno: errno.map(str::to_owned) })
}

impl World {
    /// The mount that is longest on the way to the path, and last at its mount point.
    fn mount_of(&self, path: &str) -> Vec<MountFacts> {
        let on_the_way =
            |point: &str| point == "/" || path == point || path.starts_with(&format!("{point}/"));
        let stack =
            self.mounts.iter().filter(|(point, stack)| on_the_way(point) && !stack.is_empty());
        let deepest = stack.max_by_key(|(point, _)| point.len());
        deepest.and_then(|(_, stack)| stack.last().cloned()).into_iter().collect()
    }

    fn pace(&self, trial: PaceTrial) -> Pace {
        let (operations, block) = (trial.operations, u64::from(trial.block));
        let took_us = operations * 1_000_000 / self.ops_per_second;
        Pace { operations, bytes: operations * block, took_us }
    }

    fn answer(&self, read: &Read) -> Reading {
        match read {
            Read::Init(place) => Reading::Init(Init { pid: place.pid, ..self.init }),
            Read::MountStack(place) => {
                Reading::Mounts(self.mounts.get(&place.path).cloned().unwrap_or_default())
            }
            Read::MountOf(place) => Reading::Mounts(self.mount_of(&place.path)),
            Read::AllMounts(_) => {
                Reading::Mounts(self.mounts.values().flatten().cloned().collect())
            }
            Read::Fs(_) => Reading::Fs(self.fs.clone()),
            Read::File { place, .. } => Reading::File(self.files.get(&place.path).cloned()),
            Read::Tree(place) => self
                .trees
                .get(&place.path)
                .map_or(Reading::Nothing, |tree| Reading::Tree(tree.clone())),
            Read::Archives { .. } => Reading::Archives(self.archives.clone()),
            Read::Writers(_) => Reading::Writers(writers(self.writers)),
            Read::TryCreate(_) => tried(self.create),
            Read::TryWrite { .. } => tried(self.write),
            Read::TryLink { .. } => tried(self.link),
            Read::InnerEngine(_) => Reading::InnerEngine(self.inner.engine.clone()),
            Read::TryStart(_) => Reading::Started(self.inner.started.clone()),
            Read::Memory(_) => Reading::Memory(self.memory),
            Read::Processes(_) => Reading::Processes(self.processes.clone()),
            Read::TryInotify { .. } => tried(self.inotify),
            Read::TryEvents { .. } => Reading::Events(self.events.clone()),
            Read::Quota { group: QuotaGroup::Own, .. } => Reading::Quota(self.quota.clone()),
            Read::Quota { .. } => Reading::Quota(self.parent_quota.clone()),
            Read::User(_) => Reading::User(self.user.clone()),
            Read::Net(_) => Reading::Net(self.net.clone()),
            Read::Connect { .. } => Reading::Tried(self.connect.clone()),
            Read::TryAccess(_) => Reading::Access(self.access()),
            Read::Http { .. } => Reading::Http(self.http.clone()),
            Read::IoLimits(_) => Reading::Io(self.io.clone()),
            Read::Pace { trial, .. } => Reading::Pace(self.pace(*trial)),
            Read::Written(_) => Reading::Written(None),
            Read::PageCache(_) => Reading::PageCache(self.pages),
            Read::Answers { .. } => Reading::Answered(self.answers_us),
            Read::Loops => Reading::Loops(self.beneath.loops.clone()),
            other => self.beneath.answer(other),
        }
    }

    fn access(&self) -> AccessFacts {
        let [own, bare] =
            self.access.map(|errno| Access { read: None, write: errno.map(str::to_owned) });
        AccessFacts { uid: 1001, own, bare }
    }
}
