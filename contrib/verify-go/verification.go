package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	maxPerCode = 20
	maxSkew    = 300
)

// verification is one run: the checks in their order, each adding what it finds.
type verification struct {
	files    map[string][]byte
	trust    *trust
	since    []byte
	findings []finding
	codes    []string // in the order of their first finding
	counts   map[string]int
	leaves   map[int64]*leaf
	types    map[string]int
	bodies   int
	until    int64 // the last cosignature of the checkpoint, if any
	pinnedAt int64 // the first cosignature of the pin, if any
	latest   int64
}

func (v *verification) add(code, format string, args ...any) {
	if v.counts[code]++; v.counts[code] == 1 {
		v.codes = append(v.codes, code)
	}
	if v.counts[code] <= maxPerCode {
		v.findings = append(v.findings, finding{code, fmt.Sprintf(format, args...)})
	}
}

func (v *verification) report() *report {
	made := &report{Verdict: "OK", Entries: v.types}
	head := v.envelope()
	var pin *checkpoint
	if head != nil {
		made.Origin, made.Size, made.Root = head.origin, head.size, fmt.Sprintf("%x", head.root)
		pin = v.pin(head)
		if v.fileSet(head.size) {
			v.tree(head, pin)
			v.checkBodies(head.size)
		}
	}
	if v.trust == nil {
		v.add("UNPINNED", "no trust file: nobody vouches for this checkpoint")
	}
	for _, code := range v.codes {
		if more := v.counts[code] - maxPerCode; more > 0 {
			v.findings = append(v.findings, finding{code, fmt.Sprintf("and %d more", more)})
		}
	}
	if len(v.findings) > 0 {
		made.Verdict = v.findings[0].Code
	}
	if pin != nil && (made.Verdict == "OK" || made.Verdict == "UNPINNED") {
		made.Since = &pin.size
	}
	made.Bodies, made.Findings = v.bodies, v.findings
	return made
}

// envelope checks names, manifest, checkpoint and its signatures.
func (v *verification) envelope() *checkpoint {
	for path := range v.files {
		if checkPath(path) != nil {
			v.add("MALFORMED", "a file with a name that no bundle has")
		}
	}
	if err := v.manifest(); err != nil {
		v.add("MALFORMED", "manifest.json: %v", err)
	}
	data, ok := v.files["checkpoint"]
	if !ok {
		v.add("MALFORMED", "there is no checkpoint")
		return nil
	}
	head, err := parseCheckpoint(data)
	if err != nil {
		v.add("MALFORMED", "checkpoint: %v", err)
		return nil
	}
	if v.trust != nil {
		v.signatures(head)
	}
	return head
}

func (v *verification) manifest() error {
	data, ok := v.files["manifest.json"]
	if !ok {
		return errors.New("it is missing")
	}
	fields, err := readObject(data, "v", "files")
	if err != nil {
		return err
	}
	listed, ok := fields["files"].(map[string]any)
	if !ok || fields["v"] != json.Number("1") {
		return errors.New("of unknown version, or without files")
	}
	paths := map[string]bool{}
	for path := range listed {
		if err := checkPath(path); err != nil {
			return err
		}
		paths[path] = true
	}
	for path := range v.files {
		paths[path] = true
	}
	for _, path := range sorted(paths) {
		content, present := v.files[path]
		digest, isListed := listed[path]
		switch {
		case path == "manifest.json":
		case !present:
			v.add("MANIFEST_MISMATCH", "%s is listed and missing", path)
		case !isListed:
			v.add("MANIFEST_MISMATCH", "%s is not listed", path)
		case fmt.Sprintf("%x", sha256.Sum256(content)) != digest:
			v.add("MANIFEST_MISMATCH", "%s has another SHA-256", path)
		}
	}
	if _, ok := listed["manifest.json"]; ok {
		v.add("MANIFEST_MISMATCH", "the manifest lists itself")
	}
	return nil
}

func (v *verification) signatures(head *checkpoint) {
	logKeys := v.trust.logKeys(head.origin)
	if len(logKeys) == 0 {
		v.add("ORIGIN_MISMATCH", "the trust file has no log %s", head.origin)
		return
	}
	signed, err := head.signedBy(append(v.trust.witnessKeys(), logKeys...), true)
	if err != nil {
		v.add("SIGNATURE_INVALID", "checkpoint: %v", err)
		return
	}
	if !signedByLog(logKeys, signed) {
		v.add("SIGNATURE_INVALID", "checkpoint: the log has not signed with each type of key")
	}
	if !v.trust.met(v.trust.quorum, signed) {
		v.add("QUORUM_NOT_MET", "the cosignatures do not make up %s", v.trust.quorum)
	}
	_, v.until = v.trust.times(signed)
}

// pin returns the pinned checkpoint, if there is one to compare with.
func (v *verification) pin(head *checkpoint) *checkpoint {
	if v.since == nil {
		return nil
	}
	pin, err := parseCheckpoint(v.since)
	if err == nil && v.trust != nil {
		err = v.verifyPin(pin)
	}
	switch {
	case err != nil:
		v.add("PIN_INVALID", "the pinned checkpoint: %v", err)
	case pin.origin != head.origin:
		v.add("ORIGIN_MISMATCH", "the pinned checkpoint is of %s", pin.origin)
	case pin.size > head.size:
		v.add("INCONSISTENT_WITH_PINNED", "there were %d entries once", pin.size)
	default:
		return pin
	}
	return nil
}

func (v *verification) verifyPin(pin *checkpoint) error {
	logKeys := v.trust.logKeys(pin.origin)
	signed, err := pin.signedBy(append(v.trust.witnessKeys(), logKeys...), false)
	if err != nil {
		return err
	}
	for _, k := range logKeys {
		if _, ok := signed[k]; ok {
			v.pinnedAt, _ = v.trust.times(signed)
			return nil
		}
	}
	return errors.New("the log itself has not signed")
}

// place is a tile or entry bundle of the log.
type place struct {
	path  string
	index int64
	width int
}

// tiles lists the tiles of a level that holds n hashes or entries.
func tiles(n int64, level string) (places []place) {
	for index := int64(0); index*256 < n; index++ {
		width := int(min(256, n-index*256))
		places = append(places, place{tilePath(level, index, width), index, width})
	}
	return places
}

// fileSet checks that there are exactly the tiles of a log of this size.
func (v *verification) fileSet(size int64) bool {
	// Counted first: a checkpoint may claim more tiles than anyone can list.
	if (size-1)/256+1 > int64(len(v.files)) && size > 0 {
		v.add("FILE_MISSING", "too few files for %d entries", size)
		return false
	}
	wanted, present := map[string]bool{}, map[string]bool{}
	for _, one := range tiles(size, "entries") {
		wanted[one.path] = true
	}
	for level, n := 0, size; n > 0; level, n = level+1, n>>8 {
		for _, one := range tiles(n, strconv.Itoa(level)) {
			wanted[one.path] = true
		}
	}
	for path := range v.files {
		if strings.HasPrefix(path, "tile/") {
			present[path] = true
		}
	}
	whole := true
	for _, path := range sorted(wanted) {
		if !present[path] {
			v.add("FILE_MISSING", "%s is missing", path)
			whole = false
		}
	}
	for _, path := range sorted(present) {
		if !wanted[path] {
			v.add("FILE_UNEXPECTED", "%s is not of a log of %d entries", path, size)
		}
	}
	return whole
}

// storage holds the hashes of the tree in the order of x/mod's tlog.
type storage []tlog.Hash

func (s *storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = (*s)[index]
	}
	return hashes, nil
}

// tree rebuilds the tree from the entries; compares the pinned root, the tiles and the root.
func (v *verification) tree(head, pin *checkpoint) {
	var stored storage
	size, newFrom := int64(0), head.size
	if pin != nil {
		newFrom = pin.size
	}
	v.comparePin(&stored, size, pin)
	for _, one := range tiles(head.size, "entries") {
		entries, err := splitEntries(v.files[one.path], one.width)
		if err != nil {
			v.add("MALFORMED", "%s: %v", one.path, err)
			return
		}
		for _, entry := range entries {
			v.leaf(size, entry, newFrom)
			hashes, err := tlog.StoredHashes(size, entry, &stored)
			if err != nil {
				panic(err) // the storage is in memory and complete
			}
			stored = append(stored, hashes...)
			size++
			v.comparePin(&stored, size, pin)
		}
	}
	for level, n := 0, size; n > 0; level, n = level+1, n>>8 {
		for _, one := range tiles(n, strconv.Itoa(level)) {
			var built bytes.Buffer
			for i := range int64(one.width) {
				hash := stored[tlog.StoredHashIndex(8*level, one.index*256+i)]
				built.Write(hash[:])
			}
			if !bytes.Equal(built.Bytes(), v.files[one.path]) {
				v.add("TILE_MISMATCH", "%s is not what the entries give", one.path)
			}
		}
	}
	if root := rootOf(&stored, size); !bytes.Equal(root, head.root) {
		v.add("ROOT_MISMATCH", "the entries give the root %x", root)
	}
}

func rootOf(stored *storage, size int64) []byte {
	if size == 0 {
		empty := sha256.Sum256(nil) // x/mod leaves the empty tree without a root
		return empty[:]
	}
	root, err := tlog.TreeHash(size, stored)
	if err != nil {
		panic(err) // the storage is in memory and complete
	}
	return root[:]
}

func (v *verification) comparePin(stored *storage, size int64, pin *checkpoint) {
	if pin != nil && size == pin.size && !bytes.Equal(rootOf(stored, size), pin.root) {
		v.add("INCONSISTENT_WITH_PINNED", "the first %d entries are others", size)
	}
}

func splitEntries(data []byte, width int) (entries [][]byte, err error) {
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, errors.New("an entry bundle that is cut short")
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if len(entries) != width {
		return nil, errors.New("an entry bundle of another width")
	}
	return entries, nil
}

func (v *verification) leaf(index int64, entry []byte, newFrom int64) {
	one, err := parseLeaf(entry)
	if err != nil {
		v.add("LEAF_INVALID", "leaf %d: %v", index, err)
		return
	}
	if one.lastRef >= index {
		v.add("LEAF_INVALID", "leaf %d: it refers to a leaf that is not before it", index)
	}
	v.leaves[index] = one
	v.types[one.kind]++
	switch {
	case one.seconds < v.latest-maxSkew:
		v.add("TIME_INVALID", "leaf %d: earlier than a leaf before it", index)
	case v.until != 0 && one.seconds > v.until+maxSkew:
		v.add("TIME_INVALID", "leaf %d: later than its cosignatures", index)
	case index >= newFrom && one.seconds < v.pinnedAt-maxSkew:
		v.add("TIME_INVALID", "leaf %d: earlier than the pinned checkpoint without it", index)
	}
	v.latest = max(v.latest, one.seconds)
}

// checkBodies holds each body against what its leaf committed to.
func (v *verification) checkBodies(size int64) {
	for _, path := range sorted(v.files) {
		if !strings.HasPrefix(path, "bodies/") {
			continue
		}
		index, err := bodyIndex(path)
		var opening []byte
		var body bytes.Buffer
		if err == nil {
			opening, err = readBody(v.files[path], &body)
		}
		if err != nil {
			v.add("MALFORMED", "%s: %v", path, err)
			continue
		}
		code := hmac.New(sha256.New, opening)
		code.Write(body.Bytes())
		one := v.leaves[index]
		switch {
		case index >= size:
			v.add("FILE_UNEXPECTED", "%s is not of a log of %d entries", path, size)
		case one == nil:
		case hmac.Equal(code.Sum(nil), one.commitment):
			v.bodies++
		default:
			v.add("BODY_MISMATCH", "%s is not what its leaf committed to", path)
		}
	}
}

// readBody returns the opening in the file of a body, and writes the body.
func readBody(data []byte, body *bytes.Buffer) ([]byte, error) {
	fields, err := readObject(data, "body", "opening")
	if err != nil {
		return nil, err
	}
	if _, ok := fields["body"].(map[string]any); !ok {
		return nil, errors.New("a body that is no object")
	}
	if err := writeJSON(body, fields["body"], 0); err != nil {
		return nil, err
	}
	return readHash(fields["opening"])
}

func sorted[V any](names map[string]V) []string {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
}
