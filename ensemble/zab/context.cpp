// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/context.h"

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"

namespace zkfs::zab {

void Context::broadcast(const Message& message) {
  for (const auto& group : {config.voters, config.observers}) {
    for (const ServerId id : group) {
      if (id != config.self) send(id, message);
    }
  }
}

std::uint64_t Context::begin_op(PendingOp::Kind kind, Zxid zxid, Epoch epoch) {
  pending.push_back(PendingOp{++last_op, kind, role, zxid, epoch});
  return last_op;
}

void Context::save_accepted_epoch(Epoch epoch) {
  ZKFS_CHECK(epoch > accepted_epoch, "acceptedEpoch would go from {} to {}", accepted_epoch, epoch);
  flush_appends();
  accepted_epoch = epoch;
  emit(SaveAcceptedEpochEffect{begin_op(PendingOp::Kind::kAcceptedEpoch, {}, epoch), epoch});
}

void Context::save_current_epoch(Epoch epoch) {
  ZKFS_CHECK(epoch >= current_epoch, "currentEpoch would go from {} to {}", current_epoch, epoch);
  ZKFS_CHECK(epoch <= accepted_epoch, "currentEpoch {} above acceptedEpoch {}", epoch,
             accepted_epoch);
  flush_appends();
  current_epoch = epoch;
  emit(SaveCurrentEpochEffect{begin_op(PendingOp::Kind::kCurrentEpoch, {}, epoch), epoch});
}

void Context::truncate_after(Zxid last) {
  flush_appends();
  history.truncate_after(last);
  handed_to_disk = last;
  emit(TruncateEffect{begin_op(PendingOp::Kind::kTruncate, last, {}), last});
}

void Context::install_snapshot(Zxid zxid) {
  flush_appends();
  history.reset(zxid);
  handed_to_disk = zxid;
  emit(SnapshotInstallEffect{begin_op(PendingOp::Kind::kInstall, zxid, {}), zxid});
}

void Context::flush_appends() {
  while (handed_to_disk < history.last()) {
    auto entries = history.after(handed_to_disk, history.last(), limits::kLogBatchBytesMax);
    handed_to_disk = entries.back().zxid;
    const auto op = begin_op(PendingOp::Kind::kAppend, handed_to_disk, {});
    emit(AppendEffect{op, std::move(entries), history.committed()});
  }
}

void Context::commit(Zxid zxid) {
  auto entries = history.commit(zxid);
  if (!entries.empty()) emit(DeliverEffect{std::move(entries)});
}

}  // namespace zkfs::zab
