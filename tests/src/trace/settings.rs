//! Settings of a machine out of the first line of a trace. A name that is not known is an error: replaying with other
//! settings than were recorded would prove nothing.

use super::value::{Value, Wrong};
use antiphon_core::h1::{ClientConfig, ErrorReply, Limits, MinRate, Profile, ServerConfig, Timeouts};
use std::num::NonZeroU64;
use std::time::Duration;

fn unknown<T>(name: &str) -> Result<T, Wrong> {
    Err(Wrong(format!("the setting {name:?} is not known here")))
}

pub(super) fn server(value: &Value) -> Result<ServerConfig, Wrong> {
    let mut config = ServerConfig::DEFAULT;
    for (name, value) in value.members()? {
        match &name[..] {
            "limits" => limits(&mut config.limits, value)?,
            "timeouts" => timeouts(&mut config.timeouts, value)?,
            "profile" => profile(&mut config.profile, value)?,
            "error_reply" => {
                config.error_reply = match value.str()? {
                    "Automatic" => ErrorReply::Automatic,
                    "Application" => ErrorReply::Application,
                    "Silent" => ErrorReply::Silent,
                    other => return unknown(other),
                }
            }
            "cancel_on_half_close" => config.cancel_on_half_close = value.bool()?,
            "keep_alive" => config.keep_alive = value.bool()?,
            _ => return unknown(name),
        }
    }
    Ok(config)
}

pub(super) fn client(value: &Value) -> Result<ClientConfig, Wrong> {
    let mut config = ClientConfig::DEFAULT;
    for (name, value) in value.members()? {
        match &name[..] {
            "limits" => limits(&mut config.limits, value)?,
            "timeouts" => timeouts(&mut config.timeouts, value)?,
            "profile" => profile(&mut config.profile, value)?,
            _ => return unknown(name),
        }
    }
    Ok(config)
}

pub(super) fn size(value: &Value) -> Result<usize, Wrong> {
    usize::try_from(value.number()?).map_err(|e| Wrong(e.to_string()))
}

fn limits(limits: &mut Limits, value: &Value) -> Result<(), Wrong> {
    for (name, value) in value.members()? {
        let place = match &name[..] {
            "head" => &mut limits.head,
            "fields" => &mut limits.fields,
            "target" => &mut limits.target,
            "trailers" => &mut limits.trailers,
            "trailer_fields" => &mut limits.trailer_fields,
            "chunk_line" => &mut limits.chunk_line,
            "chunk_overhead" => &mut limits.chunk_overhead,
            "interim" => &mut limits.interim,
            "empty_lines" => &mut limits.empty_lines,
            "recv_buffer" => &mut limits.recv_buffer,
            "recv_buffer_max" => &mut limits.recv_buffer_max,
            "send_buffer" => &mut limits.send_buffer,
            "discard" => {
                limits.discard = value.number()?;
                continue;
            }
            _ => return unknown(name),
        };
        *place = size(value)?;
    }
    Ok(())
}

fn timeouts(timeouts: &mut Timeouts, value: &Value) -> Result<(), Wrong> {
    let nanos = |value: &Value| value.number().map(Duration::from_nanos);
    for (name, value) in value.members()? {
        let place = match &name[..] {
            "head" => &mut timeouts.head,
            "idle" => &mut timeouts.idle,
            "body_stall" => &mut timeouts.body_stall,
            "write_stall" => &mut timeouts.write_stall,
            "response_head" => &mut timeouts.response_head,
            "continue_wait" => &mut timeouts.continue_wait,
            "linger" => &mut timeouts.linger,
            "write_failed_grace" => {
                timeouts.write_failed_grace = nanos(value)?;
                continue;
            }
            "body_rate" => {
                timeouts.body_rate = match value {
                    Value::Null => None,
                    rate => Some(MinRate {
                        bytes: NonZeroU64::new(rate.get("bytes")?.number()?)
                            .ok_or_else(|| Wrong("a rate of 0 bytes".to_owned()))?,
                        per: nanos(rate.get("per")?)?,
                    }),
                };
                continue;
            }
            _ => return unknown(name),
        };
        *place = match value {
            Value::Null => None,
            value => Some(nanos(value)?),
        };
    }
    Ok(())
}

fn profile(profile: &mut Profile, value: &Value) -> Result<(), Wrong> {
    for (name, value) in value.members()? {
        let place = match &name[..] {
            "bare_lf" => &mut profile.bare_lf,
            "fold_in_requests" => &mut profile.fold_in_requests,
            "length_and_coding" => &mut profile.length_and_coding,
            "coding_in_http10" => &mut profile.coding_in_http10,
            "space_before_colon" => &mut profile.space_before_colon,
            "status_line_spaces" => &mut profile.status_line_spaces,
            "ignore_bad_fields" => &mut profile.ignore_bad_fields,
            "target_high_bytes" => &mut profile.target_high_bytes,
            "any_host" => &mut profile.any_host,
            "space_in_chunk_size" => &mut profile.space_in_chunk_size,
            _ => return unknown(name),
        };
        *place = value.bool()?;
    }
    Ok(())
}
