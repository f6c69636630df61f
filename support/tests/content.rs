//! The decoders, against what other programs write (`tests/coded`), and against every way to cut or spoil it.

use antiphon_core::client::call::{Coding, Codings};
use antiphon_support::content::{CODINGS, DecodeErrorKind, Decoder};
#[cfg(any(feature = "gzip", feature = "deflate", feature = "brotli", feature = "zstd"))]
use quickcheck::quickcheck;

/// 384,192 bytes: more than any small window, and several blocks.
fn tale() -> Vec<u8> {
    let line = |n: u64| format!("line {n} of the tale: {}\n", n * n * 7919 % 10007);
    (0..600).map(line).collect::<String>().repeat(24).into_bytes()
}

/// Feeds `coded` in pieces, cut after as many bytes as `cuts` say in turn, and takes the content out through room for
/// as many as `rooms` say.
fn decode(coding: Coding, coded: &[u8], cuts: &[usize], rooms: &[usize]) -> Result<Vec<u8>, DecodeErrorKind> {
    let mut decoder = Decoder::new(coding).map_err(|e| e.kind())?;
    let (mut content, mut rest) = (Vec::new(), coded);
    let mut cuts = cuts.iter().copied().filter(|&n| n > 0).cycle();
    let mut rooms = rooms.iter().copied().filter(|&n| n > 0).cycle();
    while !rest.is_empty() {
        let piece = cuts.next().unwrap_or(usize::MAX).min(rest.len());
        let (mut piece, behind) = rest.split_at(piece);
        rest = behind;
        loop {
            let mut room = vec![0xaa; rooms.next().unwrap_or(4096)];
            let decoded = decoder.decode(piece, &mut room).map_err(|e| e.kind())?;
            content.extend_from_slice(&room[..decoded.produced]);
            piece = &piece[decoded.consumed..];
            if piece.is_empty() && decoded.produced < room.len() {
                break;
            }
            assert!(decoded.consumed + decoded.produced > 0, "it stands still");
        }
    }
    decoder.finish().map_err(|e| e.kind())?;
    Ok(content)
}

fn whole(coding: Coding, coded: &[u8]) -> Result<Vec<u8>, DecodeErrorKind> {
    decode(coding, coded, &[], &[])
}

const SAMPLES: &[(Coding, &[u8])] = &[
    #[cfg(feature = "gzip")]
    (Coding::Gzip, include_bytes!("coded/tale.gz")),
    #[cfg(feature = "deflate")]
    (Coding::Deflate, include_bytes!("coded/tale.zlib")),
    #[cfg(feature = "deflate")]
    (Coding::Deflate, include_bytes!("coded/tale.deflate")),
    #[cfg(feature = "brotli")]
    (Coding::Brotli, include_bytes!("coded/tale.br")),
    #[cfg(feature = "zstd")]
    (Coding::Zstd, include_bytes!("coded/tale.zst")),
];

#[test]
fn what_is_compiled_in_is_told() {
    for (coding, compiled_in) in [
        (Coding::Gzip, cfg!(feature = "gzip")),
        (Coding::Deflate, cfg!(feature = "deflate")),
        (Coding::Brotli, cfg!(feature = "brotli")),
        (Coding::Zstd, cfg!(feature = "zstd")),
    ] {
        assert_eq!(CODINGS.contains(coding), compiled_in);
        let error = Decoder::new(coding).err().map(|e| e.kind());
        assert_eq!(error, (!compiled_in).then_some(DecodeErrorKind::NotCompiledIn));
    }
    assert_eq!(CODINGS == Codings::NONE, SAMPLES.is_empty());
}

#[test]
fn what_others_wrote_reads_back() {
    for (coding, coded) in SAMPLES {
        assert!(whole(*coding, coded).as_deref() == Ok(&tale()), "{coding:?}");
    }
}

#[test]
fn byte_by_byte() {
    for (coding, coded) in SAMPLES {
        assert!(
            decode(*coding, coded, &[1], &[4096]).as_deref() == Ok(&tale()),
            "{coding:?}: input"
        );
        assert!(
            decode(*coding, coded, &[4096], &[1]).as_deref() == Ok(&tale()),
            "{coding:?}: output"
        );
    }
}

#[test]
fn nothing_is_no_content() {
    for (coding, _) in SAMPLES {
        assert_eq!(whole(*coding, b""), Ok(vec![]), "{coding:?}");
        let mut decoder = Decoder::new(*coding).unwrap();
        let decoded = decoder.decode(b"", &mut [0; 9]).unwrap();
        assert_eq!((decoded.consumed, decoded.produced), (0, 0), "{coding:?}");
        assert_eq!(decoder.finish(), Ok(()));
    }
}

#[test]
fn every_truncation_is_an_error() {
    for (coding, coded) in SAMPLES {
        let step = coded.len() / 300 + 1;
        let near = (1..40.min(coded.len())).chain((coded.len() - 40)..coded.len());
        for n in near.chain((1..coded.len()).step_by(step)) {
            assert_eq!(
                whole(*coding, &coded[..n]),
                Err(DecodeErrorKind::Truncated),
                "{coding:?} at {n}"
            );
        }
    }
}

#[test]
fn content_that_is_not_taken_out_is_missing() {
    for (coding, coded) in SAMPLES {
        let mut decoder = Decoder::new(*coding).unwrap();
        let decoded = decoder.decode(coded, &mut [0; 100]).unwrap();
        assert_eq!((decoded.produced, decoded.ended), (100, false), "{coding:?}");
        assert_eq!(
            decoder.finish().unwrap_err().kind(),
            DecodeErrorKind::Truncated,
            "{coding:?}"
        );
    }
}

#[test]
fn garbage_behind_the_end_is_an_error() {
    for (coding, coded) in SAMPLES {
        for garbage in [&b"\0"[..], b"x", b"\r\n", b"\x1f\x8c", b"(\xb5/\xfe", b"P*M\x19"] {
            let coded = [coded, garbage].concat();
            // By the last of these bytes at the latest, however they come.
            for cut in [1, 7, usize::MAX] {
                let found = decode(*coding, &coded, &[cut], &[1 << 16]);
                assert_eq!(
                    found,
                    Err(DecodeErrorKind::TrailingData),
                    "{coding:?} {garbage:?} {cut}"
                );
            }
        }
    }
}

#[test]
fn an_error_stays() {
    for (coding, coded) in SAMPLES {
        let mut decoder = Decoder::new(*coding).unwrap();
        let mut room = vec![0; 1 << 20];
        let coded = [coded, &b"garbage"[..]].concat();
        let error = decoder.decode(&coded, &mut room).unwrap_err();
        assert_eq!(decoder.decode(coded.as_slice(), &mut room), Err(error));
        assert_eq!(decoder.decode(b"", &mut []), Err(error));
        assert_eq!(decoder.finish(), Err(error));
        assert_eq!(error.coding(), *coding);
        assert!(error.to_string().contains(coding.name()), "{error}");
    }
}

/// A changed byte gives an error or other content, and never a panic. With a checksum, never other content.
#[test]
fn spoiled_bytes() {
    for (coding, coded) in SAMPLES {
        let checked = !coded.starts_with(include_bytes!("coded/tale.deflate").first_chunk::<8>().unwrap())
            && *coding != Coding::Brotli;
        let mut errors = 0;
        for i in (0..coded.len()).step_by(coded.len() / 500 + 1) {
            let mut coded = coded.to_vec();
            coded[i] ^= 1 << (i % 8);
            match whole(*coding, &coded) {
                // Some bits mean nothing to the content: gzip's time, zstd's window, the padding of blocks.
                Ok(content) if checked => assert!(content == tale(), "{coding:?} at {i}"),
                Ok(_) => {}
                Err(_) => errors += 1,
            }
        }
        assert!(errors > if checked { 300 } else { 10 }, "{coding:?}: {errors}");
    }
}

#[cfg(any(feature = "gzip", feature = "deflate", feature = "brotli", feature = "zstd"))]
quickcheck! {
    /// However it is cut, the same content.
    fn any_split_gives_the_same(cuts: Vec<u16>, rooms: Vec<u16>, which: usize) -> bool {
        let (coding, coded) = SAMPLES[which % SAMPLES.len()];
        let cuts: Vec<_> = cuts.into_iter().map(|n| usize::from(n) % 2000).collect();
        let rooms: Vec<_> = rooms.into_iter().map(|n| usize::from(n) + 200).collect();
        decode(coding, coded, &cuts, &rooms).as_deref() == Ok(&tale())
    }

    /// However it is cut, the same error, or the same content if it makes any.
    fn any_split_of_noise_gives_the_same(noise: Vec<u8>, at: usize, cuts: Vec<u8>, which: usize) -> bool {
        let (coding, coded) = SAMPLES[which % SAMPLES.len()];
        let mut spoiled = coded[..at % coded.len()].to_vec();
        spoiled.extend(noise);
        let cuts: Vec<_> = cuts.into_iter().map(usize::from).collect();
        let (one, many) = (whole(coding, &spoiled), decode(coding, &spoiled, &cuts, &[777]));
        one == many
    }
}

#[cfg(feature = "gzip")]
mod gzip {
    use super::*;

    /// `hello` as one member, with these flags and what goes with them.
    fn member(flags: u8, extras: &[u8]) -> Vec<u8> {
        let mut member = b"\x1f\x8b\x08".to_vec();
        member.push(flags);
        member.extend(b"\x01\x02\x03\x04\x02\x03");
        member.extend(extras);
        member.extend(b"\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x106\x05\x00\x00\x00");
        member
    }

    #[test]
    fn members_behind_one_another_are_one_content() {
        let coded = [
            member(0, b""),
            include_bytes!("coded/tale.gz").to_vec(),
            member(0, b""),
        ]
        .concat();
        let content = [b"hello".to_vec(), tale(), b"hello".to_vec()].concat();
        for cut in [1, 2, 3, 1000, usize::MAX] {
            assert!(
                decode(Coding::Gzip, &coded, &[cut], &[997]).as_deref() == Ok(&content),
                "{cut}"
            );
        }
        let cut_off = &coded[..coded.len() - 30];
        assert_eq!(whole(Coding::Gzip, cut_off), Err(DecodeErrorKind::Truncated));
    }

    #[test]
    fn the_end_of_a_member_is_told() {
        let mut decoder = Decoder::new(Coding::Gzip).unwrap();
        let mut room = [0; 100];
        let one = member(0, b"");
        for (input, ended) in [(&one[..], true), (&one[..1], false), (&one[1..], true)] {
            assert_eq!(decoder.decode(input, &mut room).unwrap().ended, ended);
            assert_eq!(decoder.finish().is_ok(), ended);
        }
    }

    #[test]
    fn optional_parts_are_skipped() {
        // The checksums were calculated with Python's zlib.crc32.
        for (flags, extras) in [
            (0x01, &b""[..]),
            (0x04, b"\x00\x00"),
            (0x04, b"\x05\x00\x00abc\x00"),
            (0x08, b"\x00"),
            (0x08, b"a name\x00"),
            (0x10, b"a comment\x00"),
            (0x1c, b"\x02\x00xya name\x00a comment\x00"),
            (0x02, &HEADER_SUM.to_le_bytes()),
        ] {
            let coded = member(flags, extras);
            for cut in [1, 3, usize::MAX] {
                let content = decode(Coding::Gzip, &coded, &[cut], &[]);
                assert_eq!(content.as_deref(), Ok(&b"hello"[..]), "{flags:#x} {cut}");
            }
        }
    }

    /// Of the ten bytes of a header with only the flag for its checksum.
    const HEADER_SUM: u16 = 0x92d2;

    #[test]
    fn refusals() {
        use DecodeErrorKind::*;
        let mut sum = member(0, b"");
        sum[17] ^= 1;
        let mut length = member(0, b"");
        length[21] ^= 1;
        for (coded, kind) in [
            (b"\x1f\x8b\x07".to_vec(), Malformed),
            (b"hello".to_vec(), Malformed),
            (member(0x20, b""), Malformed),
            (member(0x80, b""), Malformed),
            (member(0x02, &(HEADER_SUM ^ 1).to_le_bytes()), Checksum),
            (sum, Checksum),
            (length, Checksum),
            (member(0x08, b"a name without an end"), Malformed),
        ] {
            assert_eq!(whole(Coding::Gzip, &coded), Err(kind), "{coded:x?}");
        }
    }
}

#[cfg(feature = "deflate")]
mod deflate {
    use super::*;

    #[test]
    fn both_formats_are_told_apart() {
        let raw = b"\xcbH\xcd\xc9\xc9\x07\x00";
        let zlib = b"x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x15";
        for (coded, cut) in [(&raw[..], 1), (raw, 99), (zlib, 1), (zlib, 2), (zlib, 99)] {
            let content = decode(Coding::Deflate, coded, &[cut], &[]);
            assert_eq!(content.as_deref(), Ok(&b"hello"[..]), "{cut}");
        }
        // A stored block.
        assert_eq!(
            whole(Coding::Deflate, b"\x01\x02\x00\xfd\xffhi").as_deref(),
            Ok(&b"hi"[..])
        );
        // The shortest there is: an empty fixed block.
        assert_eq!(whole(Coding::Deflate, b"\x03\x00"), Ok(vec![]));
    }

    #[test]
    fn refusals() {
        use DecodeErrorKind::*;
        for (coded, kind) in [
            (&b"x"[..], Truncated),
            (b"x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x16", Malformed),
            // A preset dictionary.
            (b"x\xbb\x01\x02\x03\x04\xcbH", Dictionary),
            (b"\x07\x00", Malformed),
        ] {
            assert_eq!(whole(Coding::Deflate, coded), Err(kind), "{coded:x?}");
        }
    }
}

#[cfg(feature = "brotli")]
mod brotli {
    use super::*;

    #[test]
    fn large_windows_are_refused() {
        let coded = include_bytes!("coded/large-window.br");
        assert_eq!(whole(Coding::Brotli, coded), Err(DecodeErrorKind::Malformed));
    }

    #[test]
    fn empty() {
        assert_eq!(whole(Coding::Brotli, b"\x06"), Ok(vec![]));
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use super::*;

    const HELLO: &[u8] = b"(\xb5/\xfd\x24\x05\x29\x00\x00hello\x42\x42\x42\x42";

    #[test]
    fn frames_behind_one_another_are_one_content() {
        let tale_frame = &include_bytes!("coded/tale.zst")[..];
        let skipped = b"Z*M\x18\x03\x00\x00\x00abc";
        let nothing_skipped = b"P*M\x18\x00\x00\x00\x00";
        let coded = [skipped, tale_frame, nothing_skipped, skipped, tale_frame].concat();
        let content = [tale(), tale()].concat();
        for cut in [1, 2, 5, 1000, usize::MAX] {
            assert!(
                decode(Coding::Zstd, &coded, &[cut], &[997]).as_deref() == Ok(&content),
                "{cut}"
            );
        }
        assert_eq!(whole(Coding::Zstd, skipped), Ok(vec![]));
        assert_eq!(
            whole(Coding::Zstd, &skipped[..10]),
            Err(DecodeErrorKind::Truncated)
        );
    }

    #[test]
    fn a_large_window_is_refused_before_it_is_allocated() {
        let coded = include_bytes!("coded/large-window.zst");
        for n in 6..coded.len() {
            let mut decoder = Decoder::new(Coding::Zstd).unwrap();
            let error = decoder.decode(&coded[..n], &mut [0; 9]).unwrap_err();
            assert_eq!(error.kind(), DecodeErrorKind::WindowTooLarge, "{n}");
        }
        // One segment of 9 MiB: it is the window.
        let coded = b"(\xb5/\xfd\xa0\x00\x00\x90\x00\x01\x00\x00";
        assert_eq!(whole(Coding::Zstd, coded), Err(DecodeErrorKind::WindowTooLarge));
        // 8 MiB are allowed: an exponent of 13.
        let coded = b"(\xb5/\xfd\x00\x68\x11\x00\x00hi";
        assert_eq!(whole(Coding::Zstd, coded).as_deref(), Ok(&b"hi"[..]));
        // And no more: one eighth added.
        let coded = b"(\xb5/\xfd\x00\x69\x11\x00\x00hi";
        assert_eq!(whole(Coding::Zstd, coded), Err(DecodeErrorKind::WindowTooLarge));
    }

    #[test]
    fn blocks_of_each_kind() {
        // Raw (3), repeated (300), an empty last one.
        let coded = b"(\xb5/\xfd\x00\x58\x18\x00\x00abc\x62\x09\x00z\x01\x00\x00";
        let content = [&b"abc"[..], &[b'z'; 300]].concat();
        for cut in [1, 4, usize::MAX] {
            assert_eq!(
                decode(Coding::Zstd, coded, &[cut], &[7]).as_deref(),
                Ok(&content[..]),
                "{cut}"
            );
        }
        // A single segment of nothing.
        assert_eq!(whole(Coding::Zstd, b"(\xb5/\xfd\x20\x00\x01\x00\x00"), Ok(vec![]));
    }

    #[test]
    fn refusals() {
        use DecodeErrorKind::*;
        for (coded, kind) in [
            (&b"hello"[..], Malformed),
            (b"(\xb5/\xfe", Malformed),
            // The checksum is not that of hello.
            (HELLO, Checksum),
            // 4 bytes are announced, 5 come.
            (b"(\xb5/\xfd\x20\x04\x29\x00\x00hello", Malformed),
            // 6 are announced.
            (b"(\xb5/\xfd\x20\x06\x29\x00\x00hello", Checksum),
            // A dictionary.
            (b"(\xb5/\xfd\x01\x58\x07\x29\x00\x00hello", Dictionary),
            // A reserved bit; a reserved kind of block; a block beyond 128 KiB.
            (b"(\xb5/\xfd\x08\x58\x29\x00\x00hello", Malformed),
            (b"(\xb5/\xfd\x00\x58\x2f\x00\x00hello", Malformed),
            (b"(\xb5/\xfd\x00\x58\x09\x00\x10hello", Malformed),
        ] {
            assert_eq!(whole(Coding::Zstd, coded), Err(kind), "{coded:x?}");
        }
    }
}
