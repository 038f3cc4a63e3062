// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/prep.h"

#include <limits>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "ensemble/server/acl_check.h"
#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

using tree::NodeKind;
using tree::NodeType;
using tree::Permissions;

const Identity kUser{.uid = 1000, .gids = {50, 60}};

tree::AclList only(std::uint32_t permissions, const std::string& scheme, const std::string& id) {
  return {{permissions, scheme, id}};
}

Error error_in(const tree::Txn& txn) {
  const auto* error = std::get_if<tree::ErrorTxn>(&txn.body);
  return error == nullptr ? Error::kOk : error->error;
}

// --- who asks, and by what name ---

TEST(Prep, TxnCarriesWhoAskedAndTheLeadersTime) {
  Leader leader;
  leader.first_unanswered = Xid{2};
  const tree::Txn txn = leader.propose(create(at("/a")), kBob);
  EXPECT_EQ(txn.session, kBob);
  EXPECT_EQ(txn.xid, Xid{3});
  EXPECT_EQ(txn.first_unanswered, Xid{2});
  EXPECT_EQ(txn.time, 1'003);
}

TEST(Prep, UnknownSessionIsExpired) {
  Leader leader;
  EXPECT_EQ(leader.error_of(create(at("/a")), SessionId{999}), Error::kSessionExpired);
  EXPECT_EQ(leader.error_of(CloseSessionRequest{}, SessionId{999}), Error::kSessionExpired);
  EXPECT_EQ(leader.error_of(MultiRequest{}, SessionId{999}), Error::kSessionExpired);
}

TEST(Prep, SessionBeatsEveryOtherError) {
  Leader leader;
  EXPECT_EQ(leader.error_of(create(at("no path")), SessionId{999}), Error::kSessionExpired);
}

TEST(Prep, SessionIsUsableWhileItsCreationIsUnderWay) {
  Leader leader;
  leader.propose(CreateSessionRequest{.timeout_ms = 1, .owner = {}}, SessionId{7});
  EXPECT_EQ(leader.error_of(ephemeral("/e"), SessionId{7}), Error::kOk);
}

TEST(Prep, RequestsBehindTheCloseOfTheirSessionAreExpired) {
  Leader leader;
  leader.propose(CloseSessionRequest{}, kBob);
  EXPECT_EQ(error_in(leader.propose(ephemeral("/e"), kBob)), Error::kSessionExpired);
  EXPECT_EQ(leader.error_of(CloseSessionRequest{}, kBob), Error::kSessionExpired);
}

TEST(Prep, SessionIdInUseIsRefused) {
  Leader leader;
  EXPECT_EQ(leader.error_of(CreateSessionRequest{}, kAlice), Error::kBadArguments);
  leader.propose(CreateSessionRequest{}, SessionId{7});
  EXPECT_EQ(leader.error_of(CreateSessionRequest{}, SessionId{7}), Error::kBadArguments);
}

TEST(Prep, SessionZeroIsNoSession) {
  Leader leader;
  EXPECT_EQ(leader.error_of(CreateSessionRequest{}, SessionId{}), Error::kBadArguments);
  EXPECT_EQ(leader.error_of(CloseSessionRequest{}, SessionId{}), Error::kSessionExpired);
}

TEST(Prep, LeaderItselfActsWithoutASession) {
  Leader leader;
  EXPECT_EQ(leader.error_of(create(at("/a")), SessionId{}), Error::kOk);
  EXPECT_EQ(leader.error_of(remove("/a"), SessionId{}), Error::kOk);
  EXPECT_EQ(leader.error_of(ephemeral("/e"), SessionId{}), Error::kBadArguments);
}

TEST(Prep, MalformedPathIsBadArguments) {
  Leader leader;
  leader.run(create(at("/a")));
  for (const std::string path : {"", "a", "/a/", "//", "/a//b", "/.", "/a/..", "/\x01"}) {
    EXPECT_EQ(leader.error_of(remove(path)), Error::kBadArguments) << path;
    EXPECT_EQ(leader.error_of(set(path, "")), Error::kBadArguments) << path;
    EXPECT_EQ(leader.error_of(append(path, "")), Error::kBadArguments) << path;
    EXPECT_EQ(leader.error_of(rename(path, "/b")), Error::kBadArguments) << path;
    EXPECT_EQ(leader.error_of(set_kind(path, NodeKind::kFile)), Error::kBadArguments) << path;
  }
}

TEST(Prep, NameBelowANumberIsOneComponent) {
  Leader leader;
  EXPECT_EQ(leader.error_of(create(at(kRootIno, "a/b"))), Error::kBadArguments);
  EXPECT_EQ(leader.error_of(create(at(kRootIno, ""))), Error::kBadArguments);
  EXPECT_EQ(leader.error_of(create(at(kRootIno, "a"))), Error::kOk);
}

TEST(Prep, GoneNumberIsStaleMissingNameIsNoNode) {
  Leader leader;
  const Ino gone = leader.run(create(at("/a"))).ino;
  leader.propose(remove("/a"));
  leader.propose(create(at("/a")));
  EXPECT_EQ(leader.error_of(SetDataRequest{.target = at(gone), .data = {}}), Error::kStale);
  EXPECT_EQ(leader.error_of(SetDataRequest{.target = at(gone, "b"), .data = {}}), Error::kStale);
  EXPECT_EQ(leader.error_of(create(at(gone, "b"))), Error::kStale);
  EXPECT_EQ(leader.error_of(SetDataRequest{.target = at(kRootIno, "b"), .data = {}}),
            Error::kNoNode);
}

TEST(Prep, NumberFollowsAPendingRename) {
  Leader leader;
  const Ino ino = leader.run(create(at("/a"))).ino;
  leader.propose(rename("/a", "/b"));
  leader.run(SetDataRequest{.target = at(ino), .data = Blob("x")});
  EXPECT_EQ(leader.data("/b"), "x");
}

// What was written to a file that somebody had open must not become the target of the link that
// took its place. To ZooKeeper's clients a link is data.
TEST(Prep, AFileThatALinkReplacedCannotBeWrittenAnyMore) {
  Leader leader;
  const Ino ino = leader.run(file("/f")).ino;
  leader.propose(create_kind("/l", NodeKind::kSymlink, "target"));
  leader.propose(rename("/l", "/f"));
  EXPECT_EQ(leader.error_of(SetDataRequest{.target = at(ino), .data = Blob("x")}), Error::kStale);
  EXPECT_EQ(leader.error_of(AppendRequest{.target = at(ino), .data = Blob("x")}), Error::kStale);
  CreateRequest or_set = file("/f");
  or_set.or_set = true;
  EXPECT_EQ(leader.error_of(or_set), Error::kStale);
  or_set.append = true;
  EXPECT_EQ(leader.error_of(or_set), Error::kStale);
  EXPECT_EQ(leader.data("/f"), "target");
  const SetDataRequest set{.target = at("/f"), .data = Blob("elsewhere")};
  EXPECT_EQ(leader.error_of(set, kAlice, client({})), Error::kOk);
}

// --- create ---

TEST(PrepCreate, ErrorsInZooKeepersOrder) {
  Leader leader;
  leader.run(create(at("/a")));
  CreateRequest bad_acl = create(at("/a"));
  bad_acl.acl.clear();
  EXPECT_EQ(leader.error_of(bad_acl), Error::kInvalidAcl) << "existing node";
  bad_acl.target = at("/no/b");
  EXPECT_EQ(leader.error_of(bad_acl), Error::kInvalidAcl) << "missing parent";
  EXPECT_EQ(leader.error_of(create(at("/a//b"))), Error::kNoNode);
  EXPECT_EQ(leader.error_of(create(at("/n/"))), Error::kNoNode);
  EXPECT_EQ(leader.error_of(create(at("/a/"))), Error::kBadArguments);
  EXPECT_EQ(leader.error_of(create(at("/"))), Error::kNodeExists);
  EXPECT_EQ(leader.error_of(create(at("/a"))), Error::kNodeExists);
  EXPECT_EQ(leader.run(sequential("/a/")).name, "0000000000");
  EXPECT_EQ(leader.run(sequential("/")).name, "0000000001");
}

TEST(PrepCreate, PendingParentAndPendingNameCount) {
  Leader leader;
  leader.propose(create(at("/a")));
  leader.propose(create(at("/a/b")));
  EXPECT_EQ(error_in(leader.propose(create(at("/a/b")))), Error::kNodeExists);
  leader.propose(remove("/a/b"));
  EXPECT_EQ(leader.error_of(create(at("/a/b"))), Error::kOk);
}

TEST(PrepCreate, SequenceCountsCreationsUnderWayAndNeverGoesBack) {
  Leader leader;
  leader.run(create(at("/q")));
  leader.propose(sequential("/q/n-"));
  leader.propose(create(at("/q/plain")));
  leader.propose(remove("/q/plain"));
  EXPECT_EQ(leader.run(sequential("/q/n-")).name, "n-0000000002");
}

TEST(PrepCreate, NameIsCheckedWithItsSuffix) {
  Leader leader;
  EXPECT_EQ(leader.error_of(sequential("/" + std::string(245, 'x'))), Error::kOk);
  EXPECT_EQ(leader.error_of(sequential("/" + std::string(246, 'x'))), Error::kTooLarge);
  EXPECT_EQ(leader.run(sequential("/.")).name, ".0000000001");
  CreateRequest all_suffix = create(at(kRootIno, ""));
  all_suffix.sequential = true;
  EXPECT_EQ(leader.run(all_suffix).name, "0000000002");
}

TEST(PrepCreate, TakenSequentialNameIsNotOverwritten) {
  Leader leader;
  leader.run(create(at("/q")));
  leader.run(create(at("/q/n-0000000001"), "mine"));
  CreateRequest request = sequential("/q/n-");
  request.or_set = true;
  EXPECT_EQ(leader.error_of(request), Error::kNodeExists);
  EXPECT_EQ(leader.data("/q/n-0000000001"), "mine");
}

TEST(PrepCreate, EphemeralsHaveNoChildren) {
  Leader leader;
  leader.propose(ephemeral("/e"));
  EXPECT_EQ(leader.error_of(create(at("/e/c"))), Error::kNoChildrenForEphemerals);
}

TEST(PrepCreate, FilesAndLinksHaveNoChildren) {
  Leader leader;
  leader.propose(file("/f"));
  leader.propose(create_kind("/l", NodeKind::kSymlink));
  EXPECT_EQ(error_in(leader.propose(create(at("/f/c")))), Error::kNotDirectory);
  EXPECT_EQ(leader.error_of(create(at("/l/c"))), Error::kNotDirectory);
  leader.run(create(at("/u")));
  EXPECT_EQ(leader.error_of(create(at("/u/c"))), Error::kOk) << "unspecified: becomes a directory";
}

TEST(PrepCreate, EphemeralBelongsToWhoAsks) {
  Leader leader;
  leader.run(ephemeral("/e"), kBob);
  EXPECT_EQ(leader.tree().find_path("/e")->stat.ephemeral_owner, kBob);
}

TEST(PrepCreate, TtlMustBeInRange) {
  Leader leader;
  CreateRequest request = create(at("/t"));
  request.type = NodeType::kTtl;
  for (const std::int64_t ttl : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40}) {
    request.ttl_ms = ttl;
    EXPECT_EQ(leader.error_of(request), Error::kBadArguments) << ttl;
  }
  request.ttl_ms = (std::int64_t{1} << 40) - 1;
  EXPECT_EQ(leader.error_of(request), Error::kOk);
}

TEST(PrepCreate, ContainerIsNoFile) {
  Leader leader;
  CreateRequest request = file("/c");
  request.type = NodeType::kContainer;
  EXPECT_EQ(leader.error_of(request), Error::kBadArguments);
  leader.run([] {
    CreateRequest container = create(at("/c"));
    container.type = NodeType::kContainer;
    return container;
  }());
  EXPECT_EQ(leader.error_of(set_kind("/c", NodeKind::kFile)), Error::kBadArguments);
}

TEST(PrepCreate, LargestDataFitsOneMoreDoesNot) {
  Leader leader;
  EXPECT_EQ(leader.error_of(create(at("/a"), std::string(limits::kDataBytesMax, 'x'))), Error::kOk);
  EXPECT_EQ(leader.error_of(create(at("/b"), std::string(limits::kDataBytesMax + 1, 'x'))),
            Error::kTooLarge);
}

TEST(PrepCreate, OrSetReplacesTheDataOfWhatCameBefore) {
  Leader leader;
  leader.propose(file("/f", "old"));
  CreateRequest request = file("/f", "new");
  request.or_set = true;
  EXPECT_EQ(leader.run(request).version, 1);
  EXPECT_EQ(leader.data("/f"), "new");
  request.append = true;
  leader.run(request);
  EXPECT_EQ(leader.data("/f"), "newnew");
}

TEST(PrepCreate, OrSetCreatesWhereThereIsNothing) {
  Leader leader;
  CreateRequest request = file("/f", "new");
  request.or_set = request.append = true;
  EXPECT_EQ(leader.run(request).name, "f");
  EXPECT_EQ(leader.data("/f"), "new");
}

TEST(PrepCreate, OrSetRefusesADirectory) {
  Leader leader;
  leader.propose(directory("/d"));
  CreateRequest request = file("/d", "x");
  request.or_set = true;
  EXPECT_EQ(leader.error_of(request), Error::kIsDirectory);
  request.target = at("/");
  EXPECT_EQ(leader.error_of(request), Error::kIsDirectory);
}

TEST(PrepCreate, OrSetOfAnEphemeralWantsItsOwn) {
  Leader leader;
  leader.propose(ephemeral("/e"), kAlice);
  CreateRequest request = ephemeral("/e");
  request.or_set = true;
  EXPECT_EQ(leader.error_of(request, kBob), Error::kNodeExists);
  EXPECT_EQ(leader.run(request, kAlice).version, 1);
  leader.run(create(at("/p")));
  request.target = at("/p");
  EXPECT_EQ(leader.error_of(request, kAlice), Error::kNodeExists);
}

// --- delete ---

TEST(PrepDelete, RootCannotBeDeleted) {
  Leader leader;
  EXPECT_EQ(leader.error_of(remove("/")), Error::kBadArguments);
  DeleteRequest request;
  request.target = at(kRootIno);
  EXPECT_EQ(leader.error_of(request), Error::kBadArguments);
}

TEST(PrepDelete, VersionComesBeforeChildren) {
  Leader leader;
  leader.propose(create(at("/a")));
  leader.propose(create(at("/a/b")));
  DeleteRequest request = remove("/a");
  request.version = 5;
  EXPECT_EQ(error_in(leader.propose(request)), Error::kBadVersion);
  request.version = 0;
  EXPECT_EQ(leader.error_of(request), Error::kNotEmpty);
}

TEST(PrepDelete, ExpectedAppearanceIsChecked) {
  Leader leader;
  leader.run(directory("/d"));
  leader.run(file("/f"));
  DeleteRequest request = remove("/d");
  request.expected = DeleteRequest::Shown::kNotDirectory;
  EXPECT_EQ(leader.error_of(request), Error::kIsDirectory);
  request.target = at("/f");
  EXPECT_EQ(leader.error_of(request), Error::kOk);
  leader.run(file("/f"));
  request.expected = DeleteRequest::Shown::kDirectory;
  EXPECT_EQ(leader.error_of(request), Error::kNotDirectory);
  request.target = at("/d");
  EXPECT_EQ(leader.error_of(request), Error::kOk);
}

TEST(PrepDelete, RmdirLosesNoData) {
  Leader leader;
  leader.run(directory("/d"));
  leader.propose(set("/d", "state"));
  DeleteRequest request = remove("/d");
  request.only_without_data = true;
  EXPECT_EQ(error_in(leader.propose(request)), Error::kNotEmpty);
  leader.propose(set("/d", ""));
  EXPECT_EQ(leader.error_of(request), Error::kOk);
}

// --- data, ACL, attributes ---

TEST(PrepData, VersionsOfWritesUnderWayCount) {
  Leader leader;
  leader.propose(create(at("/a")));
  leader.propose(set("/a", "1", 0));
  EXPECT_EQ(error_in(leader.propose(set("/a", "2", 0))), Error::kBadVersion);
  EXPECT_EQ(leader.run(set("/a", "2", 1)).version, 2);
}

TEST(PrepData, AppendsAddUpToTheLargestSize) {
  Leader leader;
  leader.run(create(at("/a"), std::string(limits::kDataBytesMax - 2, 'x')));
  leader.propose(append("/a", "yy"));
  EXPECT_EQ(error_in(leader.propose(append("/a", "z"))), Error::kTooLarge);
  leader.propose(set("/a", ""));
  EXPECT_EQ(leader.error_of(append("/a", "z")), Error::kOk);
  EXPECT_EQ(leader.data("/a"), "z");
  EXPECT_EQ(leader.error_of(set("/a", std::string(limits::kDataBytesMax + 1, 'x'))),
            Error::kTooLarge);
}

TEST(AclCheck, RootAndEmptyListsLetEverybodyIn) {
  EXPECT_TRUE(acl_allows({}, kUser, Permissions::kAdmin));
  EXPECT_TRUE(acl_allows(only(0, "user", "5"), Identity{}, Permissions::kAdmin));
  EXPECT_FALSE(acl_allows(only(31, "user", "5"), kUser, Permissions::kRead));
}

TEST(AclCheck, OnlySchemesThatAnIdentityProvesMatch) {
  for (const std::string scheme : {"ip", "digest", "x509", "sasl", "auth"})
    EXPECT_FALSE(acl_allows(only(31, scheme, "1000"), kUser, Permissions::kRead)) << scheme;
  EXPECT_TRUE(acl_allows(only(31, "world", "anyone"), kUser, Permissions::kRead));
}

TEST(PrepAcl, VersionIsThatOfTheAcl) {
  Leader leader;
  leader.run(create(at("/a")));
  leader.propose(set("/a", "x"));
  SetAclRequest request{.target = at("/a"), .acl = tree::open_acl(), .version = 1};
  EXPECT_EQ(error_in(leader.propose(request)), Error::kBadVersion);
  request.version = 0;
  leader.propose(request);
  EXPECT_EQ(leader.error_of(request), Error::kBadVersion);
}

TEST(PrepAcl, InvalidAclBeatsMissingNode) {
  Leader leader;
  EXPECT_EQ(leader.error_of(SetAclRequest{.target = at("/no"), .acl = {}}), Error::kInvalidAcl);
  EXPECT_EQ(leader.error_of(SetAclRequest{.target = at("/no"), .acl = only(31, "what", "x")}),
            Error::kInvalidAcl);
}

TEST(PrepAcl, AuthStandsForWhoAsksAndDuplicatesCollapse) {
  Leader leader;
  leader.run(create(at("/a")));
  tree::AclList acl = only(31, "auth", "");
  acl.push_back({1, "world", "anyone"});
  acl.push_back({31, "user", "1000"});
  leader.run(SetAclRequest{.target = at("/a"), .acl = acl}, kAlice, kUser);
  EXPECT_EQ(tree::to_text(*leader.tree().find_path("/a")->acl), "user:1000:cdrwa,world:anyone:r");
}

TEST(PrepAcl, PermissionsAreAskedOfTheRightZnode) {
  Leader leader;
  leader.run(create(at("/a")));
  leader.run(create(at("/a/b")));
  const auto allow = [&](const std::string& path, std::uint32_t permissions) {
    leader.propose(SetAclRequest{.target = at(path), .acl = only(permissions, "user", "1000")});
  };
  const auto error = [&](Operation operation) {
    return leader.error_of(std::move(operation), kAlice, kUser);
  };
  allow("/a", Permissions::kAll & ~(Permissions::kCreate | Permissions::kDelete));
  allow("/a/b", Permissions::kAll & ~(Permissions::kWrite | Permissions::kAdmin));
  EXPECT_EQ(error(create(at("/a/c"))), Error::kNoAuth);
  EXPECT_EQ(error(remove("/a/b")), Error::kNoAuth);
  EXPECT_EQ(error(remove("/a/missing")), Error::kNoAuth) << "before the name is looked for";
  EXPECT_EQ(error(set("/a/b", "x")), Error::kNoAuth);
  EXPECT_EQ(error(append("/a/b", "x")), Error::kNoAuth);
  EXPECT_EQ(error(SetAclRequest{.target = at("/a/b"), .acl = tree::open_acl()}), Error::kNoAuth);
  EXPECT_EQ(error(set_kind("/a/b", NodeKind::kFile)), Error::kNoAuth);
  EXPECT_EQ(error(rename("/a/b", "/c")), Error::kNoAuth);
  allow("/a", Permissions::kCreate | Permissions::kDelete);
  allow("/a/b", Permissions::kWrite | Permissions::kAdmin);
  EXPECT_EQ(error(create(at("/a/c"))), Error::kOk);
  EXPECT_EQ(error(set("/a/b", "x")), Error::kOk);
  EXPECT_EQ(error(set_kind("/a/b", NodeKind::kFile)), Error::kOk);
  EXPECT_EQ(error(remove("/a/b")), Error::kOk);
}

TEST(PrepAcl, WhoMayWriteMaySetTheTime) {
  Leader leader;
  leader.run(create(at("/a")));
  leader.run(
      SetAclRequest{.target = at("/a"), .acl = only(Permissions::kWrite, "world", "anyone")});
  SetAttributesRequest request;
  request.target = at("/a");
  request.mtime = 77;
  EXPECT_EQ(leader.error_of(request, kAlice, kUser), Error::kOk);
  request.executable = true;
  EXPECT_EQ(leader.error_of(request, kAlice, kUser), Error::kNoAuth);
}

TEST(PrepAcl, GroupsCountAndRootMayEverything) {
  Leader leader;
  leader.run(create(at("/a")));
  leader.run(SetAclRequest{.target = at("/a"), .acl = only(Permissions::kWrite, "group", "60")});
  EXPECT_EQ(leader.error_of(set("/a", "x"), kAlice, kUser), Error::kOk);
  EXPECT_EQ(leader.error_of(set("/a", "x"), kAlice, Identity{.uid = 60, .gids = {61}}),
            Error::kNoAuth);
  EXPECT_EQ(leader.error_of(create(at("/a/b"))), Error::kOk);
}

TEST(PrepAttributes, ZnodeWithChildrenIsNoFile) {
  Leader leader;
  leader.propose(create(at("/a")));
  leader.propose(create(at("/a/b")));
  EXPECT_EQ(error_in(leader.propose(set_kind("/a", NodeKind::kFile))), Error::kNotEmpty);
  EXPECT_EQ(error_in(leader.propose(set_kind("/a", NodeKind::kSymlink))), Error::kNotEmpty);
  leader.propose(remove("/a/b"));
  EXPECT_EQ(leader.error_of(set_kind("/a", NodeKind::kFile)), Error::kOk);
  EXPECT_EQ(leader.error_of(create(at("/a/b"))), Error::kNotDirectory);
}

TEST(PrepAttributes, RootStaysADirectory) {
  Leader leader;
  EXPECT_EQ(leader.error_of(set_kind("/", NodeKind::kFile)), Error::kBadArguments);
  EXPECT_EQ(leader.error_of(set_kind("/", NodeKind::kUnspecified)), Error::kBadArguments);
  EXPECT_EQ(leader.error_of(set_kind("/", NodeKind::kDirectory)), Error::kOk);
}

// --- sessions ---

TEST(PrepSession, CloseTakesEphemeralsAppliedAndUnderWay) {
  Leader leader;
  leader.run(ephemeral("/applied"), kBob);
  leader.run(ephemeral("/deleted"), kBob);
  leader.run(ephemeral("/moved"), kBob);
  leader.run(ephemeral("/other"), kAlice);
  leader.run(file("/kept"));
  leader.propose(ephemeral("/pending"), kBob);
  leader.propose(ephemeral("/pending2"), kBob);
  leader.propose(remove("/deleted"));
  leader.propose(remove("/pending2"));
  leader.propose(rename("/moved", "/moved2"));
  // Its data goes on in a persistent znode, itself it is gone.
  leader.propose(ephemeral("/source"), kBob);
  leader.propose(rename("/source", "/kept"));
  leader.run(CloseSessionRequest{}, kBob);
  EXPECT_EQ(leader.ino("/applied"), Ino{});
  EXPECT_EQ(leader.ino("/pending"), Ino{});
  EXPECT_EQ(leader.ino("/moved2"), Ino{});
  EXPECT_NE(leader.ino("/other"), Ino{});
  EXPECT_NE(leader.ino("/kept"), Ino{});
  EXPECT_FALSE(leader.tree().find_session(kBob).has_value());
  EXPECT_EQ(leader.tree().node_count(), 6U);
}

TEST(PrepSession, CloseFreesNamesAndParentsForTheNextRequest) {
  Leader leader;
  leader.run(create(at("/d")));
  leader.run(ephemeral("/d/e"), kBob);
  leader.propose(CloseSessionRequest{}, kBob);
  leader.propose(ephemeral("/d/e"), kAlice);
  leader.propose(remove("/d/e"));
  EXPECT_EQ(leader.error_of(remove("/d")), Error::kOk);
}

// --- multi ---

TEST(PrepMulti, LaterOperationsSeeEarlierOnes) {
  Leader leader;
  const auto outcome = leader.run(
      multi({create(at("/a")), create(at("/a/b")), sequential("/a/n"), set("/a/b", "x", 0),
             CheckRequest{at("/a/b"), 1}, rename("/a/b", "/c"), remove("/c")}));
  EXPECT_EQ(outcome.error, Error::kOk);
  EXPECT_EQ(outcome.operations.size(), 7U);
  EXPECT_EQ(outcome.operations[2].name, "n0000000001");
}

TEST(PrepMulti, FailureTellsWhichAndChangesNothing) {
  Leader leader;
  leader.run(create(at("/a"), "old"));
  const auto digest = leader.tree().digest();
  const auto outcome = leader.run(
      multi({set("/a", "new"), create(at("/b")), CheckRequest{at("/a"), 7}, remove("/a")}));
  EXPECT_EQ(outcome.error, Error::kBadVersion);
  ASSERT_EQ(outcome.operations.size(), 4U);
  EXPECT_EQ(outcome.operations[0].error, Error::kOk);
  EXPECT_EQ(outcome.operations[1].error, Error::kOk);
  EXPECT_EQ(outcome.operations[2].error, Error::kBadVersion);
  EXPECT_EQ(outcome.operations[3].error, Error::kRuntimeInconsistency);
  EXPECT_EQ(leader.tree().digest(), digest);
}

TEST(PrepMulti, Zookeeper1624FailureRestoresSequenceCounters) {
  Leader leader;
  leader.run(create(at("/q")));
  leader.propose(sequential("/q/n"));
  leader.propose(multi({sequential("/q/n"), sequential("/q/n"), remove("/no")}));
  EXPECT_EQ(leader.run(sequential("/q/n")).name, "n0000000001");
}

TEST(PrepMulti, FailureRestoresNumbersSessionsEphemeralsAndNames) {
  Leader leader;
  leader.propose(ephemeral("/e"), kBob);
  leader.propose(file("/f", "data"));
  leader.propose(multi({remove("/e"), ephemeral("/x"), rename("/f", "/e"), append("/e", "more"),
                        set("/no", "")}),
                 kBob);
  leader.propose(append("/f", "!"));
  leader.propose(CloseSessionRequest{}, kBob);
  EXPECT_EQ(leader.error_of(create(at("/e"))), Error::kOk);
  EXPECT_EQ(leader.data("/f"), "data!");
  EXPECT_EQ(leader.ino("/x"), Ino{});
}

TEST(PrepMulti, EmptyIsFine) {
  Leader leader;
  const auto outcome = leader.run(MultiRequest{});
  EXPECT_EQ(outcome.error, Error::kOk);
  EXPECT_TRUE(outcome.operations.empty());
}

TEST(PrepMulti, TooLargeForOneLogEntryIsRefusedWhole) {
  Leader leader;
  const std::string large(limits::kDataBytesMax, 'x');
  EXPECT_EQ(leader.error_of(
                multi({create(at("/a"), large), create(at("/b"), large), create(at("/c"), large),
                       create(at("/d"), large), create(at("/e"), large)})),
            Error::kTooLarge);
  EXPECT_EQ(leader.ino("/a"), Ino{});
}

// --- the overlay ---

TEST(PrepOverlay, ShrinksToNothingWhenAllIsApplied) {
  Leader leader;
  leader.propose(create(at("/a")));
  leader.propose(create(at("/a/b")));
  leader.propose(multi({create(at("/c")), remove("/no")}));
  leader.propose(CreateSessionRequest{}, SessionId{7});
  EXPECT_GT(leader.prep().overlay_size(), 0U);
  leader.propose(rename("/a/b", "/b"));
  leader.propose(CloseSessionRequest{}, SessionId{7});
  while (leader.waiting() != 0) leader.deliver();
  EXPECT_EQ(leader.prep().overlay_size(), 0U);
}

TEST(Prep, WithoutRoomOnlyWhatAddsDataIsRefused) {
  Leader leader;
  leader.run(create(at("/a"), "1"));
  leader.run(create(at("/b"), "1"));
  leader.prep().refuse_growth(true);
  EXPECT_EQ(leader.error_of(create(at("/c"))), Error::kNoSpace);
  EXPECT_EQ(leader.error_of(set("/a", "2")), Error::kNoSpace);
  EXPECT_EQ(leader.error_of(append("/a", "2")), Error::kNoSpace);
  EXPECT_EQ(leader.error_of(multi({remove("/b"), create(at("/c"))})), Error::kNoSpace);
  EXPECT_EQ(leader.error_of(set("/a", "")), Error::kOk);
  EXPECT_EQ(leader.error_of(remove("/b")), Error::kOk);
  leader.prep().refuse_growth(false);
  EXPECT_EQ(leader.error_of(create(at("/c"))), Error::kOk);
}

TEST(PrepOverlay, KeepsWhatANewerTxnChanged) {
  Leader leader;
  leader.propose(create(at("/a"), "1"));
  leader.propose(append("/a", "2"));
  leader.deliver();
  leader.propose(set("/a", "3", 1));
  leader.deliver();
  EXPECT_EQ(error_in(leader.propose(set("/a", "4", 1))), Error::kBadVersion);
  leader.run(append("/a", "5"));
  EXPECT_EQ(leader.data("/a"), "35");
}

}  // namespace
}  // namespace zkfs::server
